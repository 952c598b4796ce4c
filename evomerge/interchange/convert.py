"""mergekit's files to ours and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from evomerge.errors import ConfigError, about
from evomerge.interchange import evolve, export, mergekit
from evomerge.interchange.references import References
from evomerge.models.architecture import place
from evomerge.models.blueprint import outline
from evomerge.models.headers import Headers
from evomerge.recipe.digest import plain
from evomerge.recipe.selector import Place
from evomerge.recipe.source import Source
from evomerge.recipe.tree import KINDS, Recipe
from evomerge.recipe.yaml import dump_recipe, parse_recipe, read_documents

__all__ = ["convert", "to_mergekit"]


def convert(file: Path, *, dtype: str | None = None) -> tuple[str, list[str]]:
    """The other tool's text, and what a user should know.

    A mergekit configuration becomes a recipe, mergekit-evolve's a job, a recipe mergekit's YAML.

    Raises:
        UserError: the file is none of these, or the other tool cannot express it.
    """
    documents = read_documents(file)
    last = documents[-1] if documents else None
    if not isinstance(last, Mapping):
        raise ConfigError(f"{file}: expected a mapping of keys")
    if "genome" in last:
        return _job(last, file)
    if "merge_method" in last:
        conversion = mergekit.read(documents, _tensors, origin=str(file), folder=Path.cwd())
        if conversion.dtype:
            conversion.warnings.append(f"{file}: write the model with --dtype {conversion.dtype}")
        return dump_recipe(conversion.recipe), conversion.warnings
    if last.get("kind") in KINDS:
        recipe = parse_recipe(last, origin=str(file), folder=file.parent)
        with about(str(file)):
            return to_mergekit(recipe, dtype=dtype), []
    raise ConfigError(
        f"{file}: neither a recipe (key kind) nor a configuration of mergekit (merge_method) or"
        " mergekit-evolve (genome)"
    )


def to_mergekit(
    recipe: Recipe, *, dtype: str | None = None, called: Mapping[Source, Source] | None = None
) -> str:
    """The recipe as mergekit's YAML.

    `called`: source -> the same one by the name that the file has; others keep their names.

    Raises:
        RecipeError: mergekit cannot express the recipe.
    """
    return export.write(recipe, _places, dtype=dtype or "bfloat16", called=called)


def _job(data: Mapping[str, Any], file: Path) -> tuple[str, list[str]]:
    reader = References(str(file), Path.cwd(), {})

    def source_of(reference: Any) -> tuple[str, dict[str, Any]]:
        name = reader.name(reference)
        return name, plain(reader.inputs[name])

    job, warnings = evolve.job_of(data, source_of, name=file.stem, origin=str(file))
    return yaml.safe_dump(job, sort_keys=False), warnings


def _tensors(recipe: Recipe) -> tuple[int, Sequence[str]]:
    made = outline(recipe, Headers())
    return made.layers, [tensor.name for tensor in made.tensors]


def _places(recipe: Recipe) -> list[Place]:
    return [place(name) for name in _tensors(recipe)[1]]
