"""Whether diffusers pipelines fit each other, and what cannot be done with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evomerge.errors import SourceError
from evomerge.models.headers import Headers
from evomerge.models.inventory import Inventory
from evomerge.models.pipeline import CONFIG, PIPELINE
from evomerge.models.pipeline_files import SCHEDULER, pipeline_files
from evomerge.models.tokenizer_files import TOKENIZER, vocabulary_of_file
from evomerge.reading.files import LARGE, is_file, read_bytes
from evomerge.reading.json_text import parse_json, read_object
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe, Stack, sources_of

__all__ = ["check_diffusers", "check_pipelines", "pipeline_warnings"]

_CLASS = ("_class_name", "model_type")
_SAME = (*_CLASS, "attention_head_dim", "num_attention_heads")
"""Keys of a component that no shape of its tensors shows."""
_SAYS_NOTHING = frozenset({"torch_dtype", "dtype", "transformers_version", "architectures"})
_TRAINED_FOR = (
    "beta_end",
    "beta_schedule",
    "beta_start",
    "num_train_timesteps",
    "prediction_type",
)
"""What a scheduler says of the noise that a model has learned; the rest is how images are drawn."""
_VOCABULARIES = ("vocab.json", "spiece.model", "tokenizer.model", "merges.txt")


def check_diffusers(recipe: Recipe, models: Headers, origin: str) -> None:
    """The recipe asks of diffusers' models nothing that they do not have here.

    Raises:
        SourceError: an adapter on one, a stack of their blocks, or a map of their tokens.
    """
    known = [models.inventory(source).of_diffusers for source in sources_of(recipe)]
    if any(known):
        _check_node(recipe, models, origin)


def _check_node(recipe: Recipe, models: Headers, origin: str) -> None:
    if isinstance(recipe, Source):
        inventory = models.inventory(recipe)
        if not inventory.of_diffusers:
            return
        what = f"{inventory.folder}: a model of diffusers"
        if recipe.adapter is not None:
            raise SourceError(
                f"{what}, on which no adapter is read; let diffusers fuse it (fuse_lora,"
                " save_pretrained), and name the folder that it writes"
            )
        if recipe.statistics is not None:
            raise SourceError(f"{what}, whose statistics cannot be measured; take a method without")
        return
    for name, child in recipe.inputs.items():
        _check_node(child, models, f"{origin}: inputs.{name}")
    if isinstance(recipe, Stack):
        raise SourceError(
            f"{origin}: a stack of a diffusers model, whose blocks differ in shape and run in one"
            " order only; merge them (kind: merge)"
        )
    if isinstance(recipe, Merge) and recipe.tokenizer is not None:
        raise SourceError(
            f"{origin}.tokenizer: the tokens of diffusers pipelines are not mapped; leave the key"
            " out, and merge pipelines whose tokenizers are the same"
        )


def check_pipelines(first: Inventory, other: Inventory, origin: str) -> None:
    """Both are pipelines with the same components of the same classes and tokens, or neither is
    one; a component alone is compared with another.

    Raises:
        SourceError: they are not, in one sentence that names the component.
    """
    if bool(first.components) != bool(other.components):
        whole, part = (first, other) if first.components else (other, first)
        raise SourceError(
            f"{origin}: {whole.folder} is a diffusers pipeline and {part.folder} one model; name"
            f" one component's folder of the pipeline ({'/, '.join(whole.components)}/), or whole"
            " pipelines"
        )
    for has, lacks in ((first, other), (other, first)):
        for name in sorted(has.components.keys() - lacks.components.keys()):
            raise SourceError(
                f"{origin}: {has.folder} has the component {name!r} and {lacks.folder} has none; to"
                f" merge the others, set it to [null, null] in {has.folder / PIPELINE}"
            )
    for name, (own, theirs) in _configurations(first, other).items():
        for key in _SAME:
            same = own.get(key) == theirs.get(key)
            if not same and (key in _CLASS or None not in (own.get(key), theirs.get(key))):
                raise SourceError(
                    f"{origin}: the parents differ in {key}{f' of {name}' if name else ''}:"
                    f" {first.folder} has {own.get(key)}, {other.folder} has {theirs.get(key)};"
                    " only siblings of one architecture can be merged"
                )
    for path in _vocabularies(first):
        if is_file(other.folder / path) and _tokens(first.folder / path) != _tokens(
            other.folder / path
        ):
            raise SourceError(
                f"{origin}: {first.folder / path} and {other.folder / path} differ: their"
                " embeddings' rows would not mean the same tokens"
            )


def pipeline_warnings(first: Inventory, others: list[Inventory]) -> Iterator[str]:
    """What is worth saying of siblings whose settings differ: the first one's are taken."""
    for other in others:
        if other.folder == first.folder or not other.of_diffusers:
            continue
        for path, (own, theirs) in _settings(first, other).items():
            differ = [key for key in sorted(own.keys() & theirs.keys()) if own[key] != theirs[key]]
            if path.endswith(SCHEDULER):
                keys = [key for key in differ if key in _TRAINED_FOR]
            else:
                keys = [k for k in differ if not k.startswith("_") and k not in _SAYS_NOTHING]
            if keys:
                yield (
                    f"{other.folder / path} has another {', '.join(keys)} than"
                    f" {first.folder / path}, which is taken"
                )


Configurations = dict[str, tuple[Any, Any]]


def _configurations(first: Inventory, other: Inventory) -> Configurations:
    """Component -> both configurations; of a model on its own, under an empty name."""
    if not first.components:
        return {"": (first.config, other.config)}
    return {name: (own, other.components[name]) for name, own in first.components.items()}


def _settings(first: Inventory, other: Inventory) -> Configurations:
    """Path -> what both say there."""
    known = {
        f"{name}/{CONFIG}" if name else CONFIG: both
        for name, both in _configurations(first, other).items()
    }
    schedulers = [path for path in _files(first) if path.endswith(f"/{SCHEDULER}")]
    return known | {
        path: (read_object(first.folder / path), read_object(other.folder / path))
        for path in schedulers
        if is_file(other.folder / path)
    }


def _vocabularies(pipeline: Inventory) -> list[str]:
    names = (TOKENIZER, *_VOCABULARIES)
    return [path for path in _files(pipeline) if path.rpartition("/")[2] in names]


def _files(pipeline: Inventory) -> list[str]:
    return pipeline_files(pipeline) if pipeline.components else []


def _tokens(path: Path) -> Any:
    """What a vocabulary's file says, whatever its layout."""
    if path.name == TOKENIZER:
        return vocabulary_of_file(path)
    content = read_bytes(path, most=LARGE)
    if path.suffix == ".json":
        return parse_json(content, origin=str(path))
    if path.suffix == ".txt":  # lines, and none that says which library wrote them
        return [line for line in content.split(b"\n") if line and not line.startswith(b"#version")]
    return content
