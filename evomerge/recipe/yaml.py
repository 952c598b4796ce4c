"""Recipes to and from YAML files; the paths in a file are relative to that file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml as pyyaml

from evomerge.errors import RecipeError, about, did_you_mean
from evomerge.recipe.digest import plain
from evomerge.recipe.file_kind import instead_of_a_recipe
from evomerge.recipe.located import located
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe, Segments, Stack
from evomerge.recipe.yaml_reading import read_documents, read_mapping
from evomerge.value import parse

__all__ = [
    "dump_recipe",
    "inline_recipe",
    "located",
    "parse_recipe",
    "read_documents",
    "read_mapping",
    "read_recipe",
]


def read_recipe(path: Path) -> Recipe:
    """The recipe in a YAML (or JSON) file, its local paths made absolute.

    Raises:
        UserError: there is no recipe in the file; where it is a job, what to do with it.
    """
    data = read_mapping(path, error=RecipeError)
    if other := instead_of_a_recipe(data, path):
        raise RecipeError(f"{path}: {other}")
    return parse_recipe(data, origin=str(path), folder=path.parent)


def parse_recipe(data: Any, *, origin: str, folder: Path) -> Recipe:
    """A recipe from plain data; relative paths are taken from `folder`.

    Raises:
        UserError: in one sentence that starts with `origin`.
    """
    kinds: dict[str, type[Source | Merge | Stack | Segments]] = {
        "source": Source,
        "merge": Merge,
        "stack": Stack,
        "segments": Segments,
    }
    kind = str(data.get("kind", "source")) if isinstance(data, Mapping) else "source"
    if kind not in kinds:
        raise RecipeError(f"{origin}: no kind of recipe {kind!r}; {did_you_mean(kind, kinds)}")
    recipe = parse(kinds[kind], data, origin=origin, error=RecipeError)
    with about(origin):
        return located(recipe, folder)


def inline_recipe(written: Any, *, origin: str, folder: Path) -> dict[str, Any]:
    """A recipe that a YAML file names by path or writes out, as plain data with absolute paths.

    Raises:
        RecipeError: the file or what is written is no recipe; `origin` is where it is written.
    """
    if isinstance(written, str):
        return plain(read_recipe(folder / written))
    return plain(parse_recipe(written, origin=origin, folder=folder))


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as YAML that `read_recipe` reads back to an equal recipe."""
    return pyyaml.safe_dump(plain(recipe), sort_keys=False, allow_unicode=True)
