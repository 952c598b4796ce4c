"""Recipes over the tiny family, written where a command reads them."""

from __future__ import annotations

from typing import Any

import yaml

from tests.place import Place

__all__ = ["adapters", "stack"]

PATH = [("math", 0), ("math", 1), ("json", 1), ("json", 2)]


def adapters(place: Place, method: str, **rule: Any) -> dict[str, Any]:
    """A recipe over the family's adapters, written to recipe.yaml."""
    base = {"model": "models/base"}
    recipe = {
        "kind": "merge",
        "method": method,
        "base": "base",
        "inputs": {
            "base": base,
            "l": base | {"adapter": "models/lora"},
            "o": base | {"adapter": "models/other-lora"},
        },
        "rules": [{"where": {}, "l": {"weight": 0.5}, "o": {"weight": -1}, **rule}],
    }
    (place.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return recipe


def stack(place: Place, **changes: Any) -> dict[str, Any]:
    """A data-flow recipe over the family, written to path.yaml."""
    recipe = {
        "kind": "stack",
        "inputs": {"math": {"model": "models/math"}, "json": {"model": "models/json"}},
        "embedding": "math",
        "head": "math",
        "hops": [{"of": of, "layer": layer} for of, layer in PATH],
    } | changes
    (place.folder / "path.yaml").write_text(yaml.safe_dump(recipe))
    return recipe
