"""The blueprint of a recipe: what it makes, as one value, read from headers alone.

Check, cost, engines, checkpoints and exports read it. So a kind of recipe that changes which
tensors there are, or what the configuration says, changes `outline` and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from evomerge.errors import SourceError, about
from evomerge.models.anatomy import Anatomy, anatomy_of
from evomerge.models.architecture import in_layer
from evomerge.models.headers import Headers
from evomerge.models.inventory import CONFIG, Inventory, language_part
from evomerge.models.stack_settings import routable, stack_settings
from evomerge.models.tensor_types import FLOATS, TensorSpec, stored_type
from evomerge.models.vocabulary import Vocabulary, has_token_rows, is_mapped, vocabulary_of
from evomerge.models.weight_files import is_of_diffusers
from evomerge.reading.json_text import read_object
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe, Stack

__all__ = ["Blueprint", "BlueprintTensor", "Tokens", "blueprint", "donor", "outline"]


@dataclass(frozen=True)
class BlueprintTensor(TensorSpec):
    """A tensor of the result, and the one of a source that it takes its shape from.

    Where it is a buffer, that one is copied.
    """

    source: Source
    stored: str
    """Its name in the source."""


@dataclass(frozen=True)
class Tokens:
    """What the rows of embedding and head mean, as far as it is known."""

    inventory: Inventory
    """Of the model that gives configuration and tokenizer."""
    joined: Vocabulary | None = None
    """What was made of several vocabularies; None where it is the model's own, untouched."""

    @property
    def folder(self) -> Path:
        """The model folder whose tokenizer it is, or was made from."""
        return self.inventory.folder if self.joined is None else self.joined.folder

    @property
    def rows(self) -> int | None:
        """Rows of embedding and head; None where the configuration does not say."""
        return self.inventory.vocabulary_size if self.joined is None else self.joined.rows

    @property
    def digest(self) -> str | None:
        """Names the token -> id table; None where there is no tokenizer.json."""
        return self.inventory.vocabulary if self.joined is None else self.joined.digest


@dataclass(frozen=True)
class Blueprint:
    """A model that is not made yet."""

    recipe: Recipe
    """Whose tensors these are: where a stack is folded, its pool's."""
    donor: Source
    """Gives configuration, tokenizer and tensor names."""
    config: Mapping[str, Any]
    """`config.json` as it will be written."""
    tensors: tuple[BlueprintTensor, ...]
    """In checkpoint order: sorted by name, but a stack's layers come hop by hop."""
    layers: int
    """Of the main tower: of the decoder, or of the only one."""
    layer_kinds: tuple[str, ...]
    """How each layer attends (`layer_types`), where all configurations list it; else nothing."""
    tokens: Tokens
    files: Mapping[str, str] = field(default_factory=dict)
    """Further files: name -> text."""

    @cached_property
    def anatomy(self) -> Anatomy:
        """Its towers, and the place of each tensor."""
        return anatomy_of(tensor.name for tensor in self.tensors)

    def depth(self, tensor: str) -> int:
        """Layers of the tower that a tensor sits in."""
        place = self.anatomy.place(tensor)
        return self.layers if place.main else self.anatomy.depth(place.tower)

    @property
    def parameters(self) -> int:
        """Number of weights stored."""
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def size(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.size for tensor in self.tensors)

    def stored_as(self, dtype: str | None) -> Blueprint:
        """The same with weights of torch's type `dtype` (`bfloat16`); None leaves them as they are.

        Raises:
            ConfigError: no such floating type.
        """
        if dtype is None:
            return self
        spelled = stored_type(dtype)
        config = {key: value for key, value in self.config.items() if key != "torch_dtype"}
        tensors = tuple(
            replace(tensor, dtype=spelled) if tensor.dtype in FLOATS else tensor
            for tensor in self.tensors
        )
        if is_of_diffusers(self.config):  # whose configurations have no such key
            return replace(self, tensors=tensors)
        return replace(self, tensors=tensors, config=config | {"dtype": dtype})

    def configured(self, changes: Mapping[str, Any]) -> Blueprint:
        """The same with other values in its configuration."""
        return replace(self, config=_configured(self.config, changes))


def donor(recipe: Recipe) -> Source:
    """The source whose configuration, tokenizer and tensor names the result takes."""
    while not isinstance(recipe, Source):
        recipe = recipe.inputs[recipe.donor]
    return recipe


def blueprint(recipe: Recipe, models: Headers) -> Blueprint:
    """What the recipe makes. A recipe that breaks laws (`check_compatibility`) has none.

    Raises:
        SourceError: a model cannot be read, or lacks a tensor, or vocabularies cannot be mapped.
    """
    outlined = outline(recipe, models)
    if not is_mapped(recipe):
        return outlined
    vocabulary = vocabulary_of(recipe, models.inventory)
    tensors = tuple(
        replace(tensor, shape=(vocabulary.rows, *tensor.shape[1:]))
        if _by_token(tensor, models)
        else tensor
        for tensor in outlined.tensors
    )
    tokens = Tokens(outlined.tokens.inventory, vocabulary)
    mapped = replace(outlined, tensors=tensors, tokens=tokens)
    return mapped.configured({"vocab_size": vocabulary.rows} | _special_ids(vocabulary))


def outline(recipe: Recipe, models: Headers) -> Blueprint:
    """The blueprint before vocabularies are mapped: embedding and head have the donors' rows.

    Cheap: no tokenizer is read.

    Raises:
        SourceError: a model cannot be read, or lacks a tensor that its siblings have.
    """
    match recipe:
        case Source():
            return _of_source(recipe, models.inventory(recipe))
        case Stack():
            return _of_stack(recipe, models)
        case _:  # tensors are combined one by one: the donor's outline
            return replace(outline(recipe.inputs[recipe.donor], models), recipe=recipe)


def _of_source(source: Source, inventory: Inventory) -> Blueprint:
    tensors = (
        BlueprintTensor(name, info.dtype, info.shape, source, name)
        for name, info in sorted(inventory.tensors.items())
    )
    return Blueprint(
        recipe=source,
        donor=source,
        config=inventory.config,
        tensors=tuple(tensors),
        layers=inventory.layers,
        layer_kinds=tuple(language_part(inventory.config).get("layer_types") or ()),
        tokens=Tokens(inventory),
    )


def _of_stack(stack: Stack, models: Headers) -> Blueprint:
    """Embedding and head as they are, and a layer for each hop."""
    used = {stack.embedding, stack.head, *(hop.of for hop in stack.hops)}
    inputs = {name: outline(stack.inputs[name], models) for name in sorted(used)}
    first = inputs[stack.embedding]
    kinds = tuple(
        kind for hop in stack.hops for kind in inputs[hop.of].layer_kinds[hop.layer : hop.layer + 1]
    )
    listed = len(kinds) == len(stack.hops)
    return Blueprint(
        recipe=stack,
        donor=first.donor,
        config=_stack_config(stack, inputs, models),
        tensors=tuple(_stacked(stack, inputs, models)),
        layers=len(stack.hops),
        layer_kinds=kinds if listed else (),
        tokens=first.tokens,
    )


def _stack_config(stack: Stack, inputs: Mapping[str, Blueprint], models: Headers) -> dict[str, Any]:
    first = inputs[stack.embedding]
    folder = models.inventory(first.donor).folder
    main = first.anatomy.main
    if main is None:
        towers = ", ".join(own.tower for own in first.anatomy.towers) or "none"
        raise SourceError(
            f"{folder}: a stack needs a model with a decoder, or with one tower, whose layers its"
            f" hops name; the towers here are: {towers}"
        )
    first_layer = next(at.name for at in first.anatomy.places if at.layer == 0 and at.main)
    hops = [(hop.of, hop.layer) for hop in stack.hops]
    configs = {name: made.config for name, made in inputs.items()}
    with about(str(folder)):
        return stack_settings(stack.embedding, configs, hops, first_layer)


def _stacked(
    stack: Stack, inputs: Mapping[str, Blueprint], models: Headers
) -> Iterator[BlueprintTensor]:
    first = inputs[stack.embedding]
    known = {of: {tensor.name: tensor for tensor in made.tensors} for of, made in inputs.items()}
    like = models.inventory(first.donor).tensors

    def renamed(of: str, stored: str, name: str) -> BlueprintTensor:
        """The input's tensor under its name here; weights in the type that the donor has them."""
        if stored not in known[of]:
            folder = models.inventory(inputs[of].donor).folder
            raise SourceError(f"{folder}: has no tensor {stored!r}")
        tensor = known[of][stored]
        dtype = tensor.dtype
        if dtype in FLOATS:  # as the donor has it there, or in its first layer
            dtype = (like.get(name) or like.get(in_layer(name, 0)) or tensor).dtype
        return replace(tensor, name=name, dtype=dtype)

    names = [tensor.name for tensor in first.tensors]
    for name in names:
        at = first.anatomy.place(name)
        if at.layer is None or not at.main:
            of = stack.embedding if at.component == "embedding" else stack.head
            yield renamed(of, name, name)
    by_layer = {of: _by_layer(made) for of, made in inputs.items()}
    alike = first.config.get("model_type") in routable()
    for number, hop in enumerate(stack.hops):
        of_a_layer = by_layer[hop.of].get(hop.layer, [])
        if alike:  # one that a layer lacks is missed
            of_a_layer = [in_layer(name, hop.layer) for name in by_layer[stack.embedding][0]]
        for name in of_a_layer:
            yield renamed(hop.of, name, in_layer(name, number))


def _by_layer(made: Blueprint) -> dict[int, list[str]]:
    """The tensors of each layer of the main tower, in their order."""
    layers: dict[int, list[str]] = {}
    for at in made.anatomy.places:
        if at.layer is not None and at.main:
            layers.setdefault(at.layer, []).append(at.name)
    return layers


def _by_token(tensor: BlueprintTensor, models: Headers) -> bool:
    inventory = models.inventory(tensor.source)
    info = inventory.tensors[tensor.stored]
    return has_token_rows(tensor.stored, info, inventory.vocabulary_size)


def _configured(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Each change where its key stands: in the language model's part, else at the top."""
    made = {**config}
    part = language_part(config)
    if part is config:
        return made | dict(changes)
    text = {**part}
    for key, value in changes.items():
        (text if key in text else made)[key] = value
    return {key: text if value is part else value for key, value in made.items()}


def _special_ids(vocabulary: Vocabulary) -> dict[str, Any]:
    """The ids by which a model knows where texts begin and end, which go with its tokenizer."""
    config = read_object(vocabulary.folder / CONFIG, constants=True)
    keys = ("bos_token_id", "eos_token_id", "pad_token_id")
    return {key: config[key] for key in keys if key in config}
