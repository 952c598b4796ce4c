"""A recipe by what a person calls it."""

from __future__ import annotations

from pathlib import Path

from evomerge.errors import ConfigError
from evomerge.recipe.located import located
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe
from evomerge.recipe.yaml import read_recipe

__all__ = ["recipe_named"]


def recipe_named(name: str) -> Recipe:
    """A recipe's file, or the source that a folder or a hub repository is, as in a job.

    Raises:
        UserError: the file holds no recipe, or the folder is an adapter's whose model is not here.
    """
    if name.endswith((".yaml", ".yml", ".json")):
        return read_recipe(Path(name))
    if not name.strip():
        raise ConfigError("the name of a model is empty; give a folder or a hub repository")
    return located(Source.model_validate(name), Path.cwd())
