"""The name of a recipe: the SHA-256 of its canonical JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from evomerge.recipe.tree import Recipe

__all__ = ["canonical_json", "digest", "digest_of_plain", "plain"]


def plain(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain data, nothing left out but empty optional keys."""
    return recipe.model_dump(mode="json", exclude_none=True)


def canonical_json(data: Any) -> str:
    """One spelling for one value: sorted keys, no spaces, shortest round-trip floats."""
    return json.dumps(
        data, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True
    )


def digest(recipe: Recipe) -> str:
    """64 hexadecimal digits; equal recipes, and only they, share it."""
    return digest_of_plain(plain(recipe))


def digest_of_plain(data: Mapping[str, Any]) -> str:
    """The digest of the recipe of which `plain` made this."""
    return hashlib.sha256(canonical_json(data).encode()).hexdigest()
