"""Recipes to and from YAML files; the paths in a file are relative to that file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml as pyyaml

from evomerge.errors import ConfigError, RecipeError, UserError
from evomerge.recipe.digest import plain
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe, Segments, Stack
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


def read_mapping(path: Path, *, error: type[UserError] = ConfigError) -> dict[str, Any]:
    """One YAML document that holds a mapping, read safely."""
    try:
        data = pyyaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise error(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise error(f"{path}: cannot be read ({problem})") from None
    except pyyaml.YAMLError as problem:
        raise error(f"{path}: not valid YAML ({' '.join(str(problem).split())})") from None
    if not isinstance(data, dict):
        raise error(f"{path}: expected a mapping of keys, got {type(data).__name__}")
    return data


def read_documents(path: Path) -> list[Any]:
    """Every document of a YAML file, read safely."""
    try:
        return [
            document
            for document in pyyaml.safe_load_all(path.read_text(encoding="utf-8"))
            if document
        ]
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{path}: cannot be read ({problem})") from None
    except pyyaml.YAMLError as problem:
        raise ConfigError(f"{path}: not valid YAML ({' '.join(str(problem).split())})") from None


def read_recipe(path: Path) -> Recipe:
    """The recipe in a YAML (or JSON) file, its local paths made absolute."""
    return parse_recipe(read_mapping(path, error=RecipeError), origin=str(path), folder=path.parent)


def parse_recipe(data: Any, *, origin: str, folder: Path) -> Recipe:
    """A recipe from plain data; relative paths are taken from `folder`."""
    kinds: dict[str, type[Source | Merge | Stack | Segments]] = {
        "source": Source,
        "merge": Merge,
        "stack": Stack,
        "segments": Segments,
    }
    kind = data.get("kind", "source") if isinstance(data, Mapping) else "source"
    if kind not in kinds:
        raise RecipeError(f"{origin}: kind must be one of {', '.join(kinds)}, got {kind!r}")
    return located(parse(kinds[kind], data, origin=origin, error=RecipeError), folder)


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


def located(recipe: Recipe, folder: Path) -> Recipe:
    """The same recipe with local sources absolute, so that it means the same anywhere."""
    if isinstance(recipe, Source):
        return recipe.model_copy(
            update={
                "model": _absolute(recipe.model, folder),
                "adapter": recipe.adapter and _absolute(recipe.adapter, folder),
                "statistics": recipe.statistics and _absolute(recipe.statistics, folder),
            }
        )
    inputs = {name: located(child, folder) for name, child in recipe.inputs.items()}
    return recipe.model_copy(update={"inputs": inputs})


def _absolute(place: str, folder: Path) -> str:
    """A path where it is written as one or exists; otherwise the name of a hub repository."""
    path = Path(place).expanduser()
    if place.startswith((".", "/", "~")) or (folder / path).exists():
        return str((folder / path).resolve())
    return place
