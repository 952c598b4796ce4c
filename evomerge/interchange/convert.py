"""mergekit's files to ours and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from evomerge.errors import ConfigError, about
from evomerge.interchange import documents as mergekit
from evomerge.interchange import evolve, export
from evomerge.interchange.diagnosis import Diagnosis
from evomerge.interchange.references import References
from evomerge.models.adapter_compatibility import check_adapters
from evomerge.models.blueprint import outline
from evomerge.models.compatibility import check_compatibility
from evomerge.models.headers import Headers
from evomerge.models.portable import is_local
from evomerge.operators import signatures
from evomerge.recipe.check import check_methods
from evomerge.recipe.digest import plain
from evomerge.recipe.selector import Place
from evomerge.recipe.source import Source
from evomerge.recipe.tree import KINDS, Merge, Recipe
from evomerge.recipe.yaml import dump_recipe, parse_recipe, read_documents
from evomerge.value import parse
from evomerge.wording import count

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
        conversion.warnings.extend(_checked(conversion.recipe, str(file)))
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
    told: list[str] = []
    reader = References(Diagnosis(str(file), told), Path.cwd(), {})

    def source_of(reference: Any) -> tuple[str, dict[str, Any]]:
        name = reader.name(reference)
        return name, plain(reader.inputs[name])

    job, warnings = evolve.job_of(data, source_of, name=file.stem, origin=str(file))
    warnings += _checked_job(job, reader.inputs, str(file))
    return yaml.safe_dump(job, sort_keys=False), told + warnings


def _checked_job(job: dict[str, Any], inputs: Mapping[str, Recipe], origin: str) -> list[str]:
    """What can be told of the job's models where they are here; what does not fit them is changed.

    Raises:
        UserError: the models are no siblings, or the layers are not cut into equal groups.
    """
    headers, space = Headers(), job["space"]
    sources = [source for source in inputs.values() if isinstance(source, Source)]
    if not all(is_local(source.model) for source in sources):
        return []
    merge = {"kind": "merge", "method": "uniform_soup", "base": space.get("base") or min(inputs)}
    merge |= {"inputs": inputs, "tokenizer": space.get("tokenizer")}
    recipe = parse(Merge, merge, origin=origin)
    warnings = check_compatibility(recipe, signatures(), origin=origin, models=headers)
    made = outline(recipe, headers)
    size = space.get("groups", {}).get("layers", made.layers)
    if made.layers % size:
        raise ConfigError(
            f"{origin}: genome.layer_granularity: {size} does not divide the models'"
            f" {count(made.layers, 'layer')}"
        )
    if job["evaluator"]["chat_template"] and made.tokens.inventory.chat_template is None:
        job["evaluator"]["chat_template"] = False
        warnings.append(
            f"{origin}: apply_chat_template: {made.tokens.inventory.folder} has no chat template,"
            " so questions are asked as they are"
        )
    return warnings


def _checked(recipe: Recipe, origin: str) -> list[str]:
    """What `check` says of the recipe: it can be built, or a sentence says why not."""
    check_methods(recipe, signatures(), origin=origin)
    check_adapters(recipe, signatures(), origin=origin)
    return check_compatibility(recipe, signatures(), origin=origin)


def _tensors(recipe: Recipe) -> tuple[int, Sequence[str]]:
    made = outline(recipe, Headers())
    return made.layers, [tensor.name for tensor in made.tensors]


def _places(recipe: Recipe) -> list[Place]:
    return list(outline(recipe, Headers()).anatomy.places)
