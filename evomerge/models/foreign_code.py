"""Code in a model's folder: Python files, and the keys of its JSON files that name them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evomerge.models.blueprint import blueprint, donor
from evomerge.models.headers import Headers
from evomerge.models.pipeline_files import code_files
from evomerge.models.stack_layout import with_own_code
from evomerge.recipe.tree import Recipe

__all__ = ["donors_code", "without_code"]

_KEYS = ("auto_map", "custom_pipelines")
"""What transformers looks up in a folder's Python files, given `trust_remote_code`."""


def without_code(said: Any, but: str | None = None) -> Any:
    """A configuration, at any depth without the keys that name classes in Python files; at its top
    the key `but` stays."""
    match said:
        case Mapping():
            return {
                key: value if key == but else without_code(value)
                for key, value in said.items()
                if key == but or key not in _KEYS
            }
        case list():
            return [without_code(value) for value in said]
        case _:
            return said


def donors_code(recipe: Recipe) -> str | None:
    """The model that a result's configuration comes from, by its folder, if it brings code along.

    Raises:
        SourceError: it cannot be read.
    """
    inventory = Headers().inventory(donor(recipe))
    if inventory.components:
        return str(inventory.folder) if code_files(inventory) else None
    config = dict(inventory.config)
    if with_own_code(blueprint(donor(recipe), Headers())).files:  # a stack's folder runs by ours
        return None
    return str(inventory.folder) if without_code(config) != config else None
