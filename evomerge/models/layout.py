"""How a model is laid out where its folder is no plain checkpoint of its recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evomerge.recipe.tree import Recipe

__all__ = ["Layout"]


@dataclass(frozen=True)
class Layout:
    """What to write instead of the recipe's own tensors under the donor's configuration."""

    stored: Recipe
    """Whose tensors the folder holds."""
    config: Mapping[str, Any]
    """What the configuration says otherwise than the donor's, or besides."""
    files: Mapping[str, str]
    """Further files: name -> text."""
