"""Whether a recipe's sources fit each other and its rules, from headers alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evomerge.errors import RecipeError, SourceError, about
from evomerge.models.adapter_compatibility import check_fits
from evomerge.models.adapter_headers import read_adapter_inventory
from evomerge.models.adapter_names import on_model
from evomerge.models.architecture_facts import architecture_facts
from evomerge.models.blueprint import Blueprint, Tokens, donor, outline
from evomerge.models.familiar import knows_type, unfamiliar
from evomerge.models.flat import flat_of
from evomerge.models.headers import Headers
from evomerge.models.inventory import Inventory
from evomerge.models.pipeline_compatibility import (
    check_diffusers,
    check_pipelines,
    pipeline_warnings,
)
from evomerge.models.selections import check_range
from evomerge.models.sources import adapter_folder, plain_folder
from evomerge.models.stacking import check_stackable
from evomerge.models.statistics import StatisticsFolder
from evomerge.models.tied_copies import left_out
from evomerge.models.tied_head import KEY, follows_embedding, is_head
from evomerge.models.token_rows import token_rows
from evomerge.models.vocabulary import (
    has_token_rows,
    inputs_of,
    is_mapped,
    output_of,
    read_vocabulary,
    tokenizer_donor,
    vocabulary_of,
)
from evomerge.recipe.check import operands
from evomerge.recipe.signature import Signature
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe, Segments, Stack, sources_of

__all__ = ["check_engine_compatibility", "check_compatibility"]

_SAME = (
    "model_type",
    "route",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "intermediate_size",
    "tie_word_embeddings",
)


_SHOWN_BY_TENSORS = frozenset(
    {
        *("hidden_size", "num_hidden_layers", "num_key_value_heads", "intermediate_size"),
        "tie_word_embeddings",
    }
)
"""Keys that a configuration may leave out for their default: another value would give tensors of
other names or shapes, which are compared."""


def check_compatibility(
    recipe: Recipe,
    signatures: Mapping[str, Signature],
    *,
    origin: str,
    models: Headers | None = None,
) -> list[str]:
    """Check shapes, vocabularies and layer ranges; the warnings worth telling are returned.

    Args:
        signatures: of every method that is known, by name.
        origin: what messages call the recipe.
        models: what is known of the sources already; read where left out.

    Raises:
        SourceError: a source is missing, unsafe, or differs from its siblings where it may not; or
            the statistics that a method needs are missing or another model's.
        RecipeError: a rule or a hop names a layer that is not there.
    """
    models = models or Headers()
    check_diffusers(recipe, models, origin)
    inventories = [models.inventory(source) for source in dict.fromkeys(sources_of(recipe))]
    for source in dict.fromkeys(sources_of(recipe)):
        if adapter := adapter_folder(source):
            model = models.inventory(source)
            check_fits(on_model(read_adapter_inventory(adapter), model), model)
    _check_layers_and_shapes(recipe, models, origin)
    _check_statistics(recipe, signatures, models)
    _check_ends(recipe, origin, models)
    with about(origin):
        _check_vocabularies(recipe, models)
    speaker = models.inventory(tokenizer_donor(recipe))
    templates = (
        f"{other.folder} has another chat template than {speaker.folder}, whose one is used"
        for other in inventories
        if other.chat_template not in (speaker.chat_template, None)
    )
    lost = (
        left_out(plain_folder(source))
        for source in dict.fromkeys(sources_of(recipe))
        if source.tie == "keep"
    )
    pipeline = pipeline_warnings(speaker, inventories) if speaker.of_diffusers else ()
    return [
        *_not_known(models.inventory(donor(recipe))),
        *(said for said in lost if said),
        *pipeline,
        *templates,
    ]


def _not_known(inventory: Inventory) -> Iterator[str]:
    """What is only read from names, of a model that transformers does not know."""
    if inventory.of_diffusers:
        return
    if reason := unfamiliar(inventory.config):
        family = inventory.config.get("model_type")
        engine = (
            f"; engines take it for a {family}"
            if knows_type(inventory.config)
            else ", how an engine runs it"
        )
        yield (
            f"{inventory.folder}: {reason}; its tensors are merged by name, and what names do not"
            f" tell is not known: ties, buffers, how its layers are stacked{engine}"
        )


def check_engine_compatibility(
    recipe: Recipe, start: Source, *, origin: str, models: Headers | None = None
) -> None:
    """A live engine has the vocabulary of its start, and every recipe merged into it must have it.

    Raises:
        RecipeError: the recipe maps its inputs to another one.
    """
    if not is_mapped(recipe):
        return
    models = models or Headers()
    own = read_vocabulary(models.inventory(start))
    output = vocabulary_of(recipe, models.inventory)
    if output.digest != own.digest:
        raise RecipeError(
            f"{origin}: the tokenizer is another than that of {own.folder}, which the live engine"
            " has; take tokenizer: {source: base}, or build the model (evomerge merge) and evaluate"
            " that"
        )
    if output.rows != own.rows:
        raise RecipeError(
            f"{origin}: the matrices get {output.rows} rows, the live engine has the {own.rows} of"
            f" {own.folder}; set tokenizer.pad_to_multiple_of: {own.rows}"
        )


def _check_layers_and_shapes(recipe: Recipe, models: Headers, origin: str) -> Blueprint:
    """The recipe's outline, once its laws and those of its inputs hold."""
    if isinstance(recipe, Source):
        return outline(recipe, models)
    inputs = {
        name: _check_layers_and_shapes(child, models, origin)
        for name, child in recipe.inputs.items()
    }
    _check_layers(recipe, inputs, origin)
    first, *others = (models.inventory(made.donor) for made in inputs.values())
    if isinstance(recipe, Stack) and "route" in first.config:
        raise SourceError(
            f"{origin}: {first.folder} is a stack with a path of its own; stack the models that it"
            " was made from, which its recipe.yaml names"
        )
    for other in others:
        if first.folder == other.folder:
            continue
        if isinstance(recipe, Stack):
            check_stackable(first, other, origin)
        else:
            _check_siblings(first, other, origin)
    return outline(recipe, models)


def _check_layers(
    recipe: Merge | Stack | Segments, inputs: Mapping[str, Blueprint], origin: str
) -> None:
    """Rules, chromosomes and hops name layers that are there."""
    first = next(iter(inputs.values()))
    match recipe:
        case Merge():
            for number, rule in enumerate(recipe.rules):
                check_range(rule.where, first, f"{origin}: rules.{number}.where")
        case Segments():
            for number, chromosome in enumerate(recipe.chromosomes):
                check_range(chromosome.where, first, f"{origin}: chromosomes.{number}.where")
        case Stack():
            for number, hop in enumerate(recipe.hops):
                layers = inputs[hop.of].layers
                if hop.layer >= layers:
                    raise RecipeError(
                        f"{origin}: hops.{number}: layer {hop.layer} of {hop.of!r},"
                        f" which has {layers} (0 to {layers - 1})"
                    )


def _check_siblings(first: Inventory, other: Inventory, origin: str) -> None:
    if first.of_diffusers or other.of_diffusers:
        check_pipelines(first, other, origin)
    for key in _SAME:
        own, theirs = first.config.get(key), other.config.get(key)
        absent = own is None or theirs is None
        if own != theirs and absent and key not in _SHOWN_BY_TENSORS:
            own, theirs = (_with_default(model, key) for model in (first, other))
        if own != theirs and not (absent and key in _SHOWN_BY_TENSORS):
            if key == KEY:
                raise SourceError(f"{origin}: {_apart(*_by_tie(first, other))}")
            raise SourceError(
                f"{origin}: the parents differ in {key}: {first.folder} has {own},"
                f" {other.folder} has {theirs}; only siblings of one architecture can be merged"
            )
    for name, info in first.tensors.items():
        theirs = other.tensors.get(name)
        if theirs is None:
            raise _lacking(name, first, other, origin)
        by_token = has_token_rows(name, info, first.vocabulary_size) and has_token_rows(
            name, theirs, other.vocabulary_size
        )
        if theirs.shape[by_token:] != info.shape[by_token:]:
            raise SourceError(
                f"{origin}: {name} has shape {list(info.shape)} in {first.folder}"
                f" and {list(theirs.shape)} in {other.folder}"
            )
    for name in sorted(other.tensors.keys() - first.tensors.keys()):
        raise _lacking(name, other, first, origin)


def _with_default(model: Inventory, key: str) -> Any:
    """The value of a key of a configuration; where it is left out, what transformers takes."""
    if key in model.config or key == "route":
        return model.config.get(key)
    facts = architecture_facts(model.config)
    return None if facts is None else facts.settings.get(key)


def _lacking(name: str, has: Inventory, lacks: Inventory, origin: str) -> SourceError:
    """What is said where one of two siblings has no tensor of a name."""
    tied = follows_embedding(lacks.config, lacks.tensors)
    if tied and is_head(name):
        return SourceError(f"{origin}: {_apart(lacks, has)}")
    return SourceError(f"{origin}: {lacks.folder} has no tensor {name!r}, {has.folder} has")


def _by_tie(first: Inventory, other: Inventory) -> tuple[Inventory, Inventory]:
    """(the one whose head is its embedding, the one with a head of its own)."""
    return (first, other) if follows_embedding(first.config, first.tensors) else (other, first)


def _apart(tied: Inventory, untied: Inventory) -> str:
    """What is said of siblings whose heads are of two kinds."""
    return (
        f"the head of {tied.folder} is its embedding ({KEY}), and {untied.folder} has one of its"
        " own; write `tie: untie` beside each model of the first kind, and the result has a head"
        " of its own, or `tie: keep` beside each of the second, whose heads are then left out"
    )


def _check_vocabularies(recipe: Recipe, models: Headers) -> Tokens:
    """The recipe's own vocabulary, once all below it have been checked."""
    if isinstance(recipe, Source):
        return Tokens(models.inventory(recipe))
    inputs = {name: _check_vocabularies(child, models) for name, child in recipe.inputs.items()}
    if isinstance(recipe, Merge) and recipe.tokenizer is not None:
        known = inputs_of(recipe, models.inventory)
        output = output_of(recipe, known)
        token_rows(recipe, known, output)
        return Tokens(models.inventory(donor(recipe)), output)
    if isinstance(recipe, Stack):  # tokens pass through no other input
        inputs = {name: inputs[name] for name in (recipe.embedding, recipe.head)}
    first, *others = inputs.values()
    for other in others:
        _check_same_tokens(first, other)
    return next((tokens for tokens in inputs.values() if tokens.digest is not None), first)


def _check_same_tokens(first: Tokens, other: Tokens) -> None:
    differ = f"the parents {first.folder} and {other.folder} differ in vocabulary"
    cure = "map them by token with tokenizer: {source: base} in the merge"
    if first.rows != other.rows:
        raise SourceError(f"{differ}: {first.rows} and {other.rows} rows; {cure}")
    if None not in (first.digest, other.digest) and first.digest != other.digest:
        raise SourceError(
            f"{differ}: their embeddings' rows would not mean the same tokens; {cure}"
        )


def _check_ends(recipe: Recipe, origin: str, models: Headers) -> None:
    """Ranges of segments cover their chromosomes to the last element."""
    if isinstance(recipe, Source):
        return
    if isinstance(recipe, Segments):
        for number, flat in enumerate(flat_of(recipe, origin, models)):
            end = recipe.chromosomes[number].ends[-1]
            if end != flat.size:
                raise RecipeError(
                    f"{origin}: chromosomes.{number}.ends: the last one is {end}, and the weights"
                    f" that it selects are {flat.size}"
                )
    for name, child in recipe.inputs.items():
        _check_ends(child, f"{origin}: inputs.{name}", models)


def _check_statistics(recipe: Recipe, signatures: Mapping[str, Signature], models: Headers) -> None:
    """The statistics that methods need are there, and are the sources' own."""
    if isinstance(recipe, Source):
        return
    signature = signatures.get(recipe.method) if isinstance(recipe, Merge) else None
    if isinstance(recipe, Merge) and signature and signature.statistics:
        for name in operands(recipe, signature):
            source = recipe.inputs[name]
            if isinstance(source, Source):
                StatisticsFolder(source, models).check(signature.statistics)
    for child in recipe.inputs.values():
        _check_statistics(child, signatures, models)
