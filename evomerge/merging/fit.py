"""Whether a recipe's sources fit each other and its rules, from headers alone."""

from __future__ import annotations

from evomerge.errors import RecipeError, SourceError
from evomerge.merging.inventory import Inventory, read_inventory
from evomerge.merging.operators import signatures
from evomerge.merging.sources import adapter_folder, model_folder
from evomerge.merging.statistics import Statistics
from evomerge.recipe.check import operands
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe, Stack, sources_of

__all__ = ["check_fit"]

_SAME = (
    "model_type",
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "intermediate_size",
    "tie_word_embeddings",
)
_WORDS = {"vocab_size": "vocabulary"}


def check_fit(recipe: Recipe, *, origin: str) -> list[str]:
    """Check shapes, vocabularies and layer ranges; the warnings worth telling are returned.

    Raises:
        SourceError: a source is missing, unsafe, or differs from its siblings where it may not; or
            the statistics that a method needs are missing or another model's.
        RecipeError: a rule or a hop names a layer that is not there.
    """
    inventories: dict[Source, Inventory] = {}
    for source in dict.fromkeys(sources_of(recipe)):
        inventories[source] = read_inventory(model_folder(source))
        adapter = adapter_folder(source)
        if adapter is not None and not (adapter / "adapter_model.safetensors").exists():
            raise SourceError(
                f"{adapter}: no adapter_model.safetensors; an adapter is a folder that peft saved"
            )
    _check_layers(recipe, inventories, origin)
    _check_statistics(recipe)
    first, *others = inventories.values()
    warnings = []
    for other in others:
        _check_siblings(first, other, origin)
        if other.chat_template not in (first.chat_template, None):
            warnings.append(
                f"{other.folder} has another chat template than {first.folder}, whose one is used"
            )
    return warnings


def _check_siblings(first: Inventory, other: Inventory, origin: str) -> None:
    if first.folder == other.folder:
        return
    for key in _SAME:
        one, two = first.config.get(key), other.config.get(key)
        if one != two:
            raise SourceError(
                f"{origin}: the parents differ in {_WORDS.get(key, key)}: {first.folder} has {one},"
                f" {other.folder} has {two}; only siblings of one architecture can be merged"
            )
    if None not in (first.vocabulary, other.vocabulary) and first.vocabulary != other.vocabulary:
        raise SourceError(
            f"{origin}: the tokenizers of {first.folder} and {other.folder} differ in vocabulary;"
            " their embeddings' rows would not mean the same tokens"
        )
    for name, info in first.tensors.items():
        theirs = other.tensors.get(name)
        if theirs is None:
            raise SourceError(
                f"{origin}: {other.folder} has no tensor {name!r}, {first.folder} has"
            )
        if theirs.shape != info.shape:
            raise SourceError(
                f"{origin}: {name} has shape {list(info.shape)} in {first.folder}"
                f" and {list(theirs.shape)} in {other.folder}"
            )


def _check_layers(recipe: Recipe, inventories: dict[Source, Inventory], origin: str) -> int:
    """The recipe's own number of layers, once every range below it has been checked."""
    match recipe:
        case Source():
            return inventories[recipe].layers
        case Merge():
            counts = [_check_layers(one, inventories, origin) for one in recipe.inputs.values()]
            for number, rule in enumerate(recipe.rules):
                if rule.where.layers and rule.where.layers[1] > counts[0]:
                    raise RecipeError(
                        f"{origin}: rules.{number}.where.layers: {list(rule.where.layers)} goes"
                        f" beyond the model's {counts[0]} layers"
                    )
            return counts[0]
        case Stack():
            layers = {n: _check_layers(r, inventories, origin) for n, r in recipe.inputs.items()}
            for number, hop in enumerate(recipe.hops):
                if hop.layer >= layers[hop.of]:
                    raise RecipeError(
                        f"{origin}: hops.{number}: layer {hop.layer} of {hop.of!r},"
                        f" which has {layers[hop.of]} (0 to {layers[hop.of] - 1})"
                    )
            return len(recipe.hops)


def _check_statistics(recipe: Recipe) -> None:
    """The statistics that methods need are there, and are the sources' own."""
    if isinstance(recipe, Source):
        return
    signature = signatures().get(recipe.method) if isinstance(recipe, Merge) else None
    if isinstance(recipe, Merge) and signature and signature.statistics:
        for name in operands(recipe, signature):
            source = recipe.inputs[name]
            if isinstance(source, Source):
                Statistics(source).check(signature.statistics)
    for child in recipe.inputs.values():
        _check_statistics(child)
