"""Laws of LoRA adapters and recipes over them, from headers alone: whether an adapter fits its
model, what a method on factors needs, and when a recipe's result is one adapter itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from evomerge.errors import RecipeError, SourceError
from evomerge.models.adapter_changes import ChangeInfo, CopyInfo, FactorInfo, RowsInfo, SumInfo
from evomerge.models.adapter_headers import CONFIG, AdapterInventory, read_adapter_inventory
from evomerge.models.architecture import is_positional
from evomerge.models.inventory import Inventory
from evomerge.models.sources import adapter_folder, model_folder
from evomerge.models.tensor_types import FLOATS
from evomerge.models.tied_head import KEY, follows_embedding, is_embedding, is_head
from evomerge.recipe.check import operands
from evomerge.recipe.signature import Signature
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe

__all__ = ["adapter_base", "check_adapters", "check_fits"]

_TASK_HEADS = ("score", "classifier", "qa_outputs", "summary", "v_head")
"""Modules that peft trains whole for a task, and that a language model has not."""


def check_fits(adapter: AdapterInventory, model: Inventory) -> None:
    """Every weight that the adapter changes is the model's, and a change of its own.

    Raises:
        SourceError: one is not there, has another shape, or is tied to the embedding, which would
            change with it.
    """
    tied = follows_embedding(model.config, model.tensors)
    sizes = {info.shape for name, info in model.tensors.items() if is_embedding(name)}
    for name, info in [*adapter.copies.items(), *adapter.changes.items()]:
        if tied and is_head(name) and (isinstance(info, RowsInfo) or info.shape in sizes):
            raise SourceError(
                f"{adapter.folder}: changes {name}, which is the embedding of {model.folder} too"
                f" ({KEY}); write `tie: untie` beside `model`, which gives the head weights of its"
                " own, as the adapter was trained"
            )
        _check_fits(adapter, name, info, model)
        follows = adapter.config.get("ensure_weight_tying") or isinstance(info, RowsInfo)
        if tied and is_embedding(name) and not is_positional(name) and not follows:
            raise SourceError(
                f"{adapter.folder}: changes {name}, which is the head of {model.folder} too"
                f" ({KEY}), and was trained with the head as it is; write `tie: untie` beside"
                " `model`, which gives the head weights of its own (ensure_weight_tying: true in"
                f" {CONFIG} says that the head was trained with it)"
            )


def _check_fits(
    adapter: AdapterInventory, name: str, info: ChangeInfo | CopyInfo, model: Inventory
) -> None:
    known = model.tensors.get(name)
    if known is not None and known.dtype not in FLOATS:
        raise SourceError(f"{adapter.folder}: changes {name}, which is of type {known.dtype}")
    shape = known.shape if known else None
    if isinstance(info, RowsInfo):
        highest = max(info.rows, default=-1)
        wanted: tuple[int | str, ...] = (f"more than {highest}", info.width)
        fits = shape is not None and shape[1:] == (info.width,) and shape[0] > highest
    else:
        wanted, fits = info.shape, shape == info.shape
    if not fits:
        has = shape or f"no such tensor{_why_lacking(name, info, model)}"
        raise SourceError(
            f"{adapter.folder}: changes {name} of shape {wanted}, but {model.folder} has {has}"
        )


def _why_lacking(name: str, info: ChangeInfo | CopyInfo, model: Inventory) -> str:
    """What to do about a weight that the adapter has and its model has not."""
    if isinstance(info, SumInfo):
        return ": lora_bias needs a module with a bias, to which peft adds it"
    if isinstance(info, CopyInfo) and "." in name and name.rpartition(".")[0] in _TASK_HEADS:
        named = (model.config.get("architectures") or ["a class without it"])[0]
        return (
            f" ({named}): load the model as the class that has it (with as many labels), save it,"
            " and name that folder"
        )
    return ""


def check_adapters(recipe: Recipe, methods: Mapping[str, Signature], *, origin: str) -> None:
    """Every method on factors has a plain model as its base and adapters on it as its operands;
    where factors are summed, they have one rank and one scale on each weight.

    Raises:
        RecipeError: in one sentence that starts with `origin` and names the input.
        SourceError: an adapter cannot be read.
    """
    if isinstance(recipe, Source):
        return
    if isinstance(recipe, Merge) and methods[recipe.method].family == "adapter":
        signature = methods[recipe.method]
        needs = f"method {recipe.method!r} merges LoRA adapters on one model"
        base = _plain(recipe, f"{origin}: {needs}")
        for name in operands(recipe, signature):
            source = recipe.inputs[name]
            if not isinstance(source, Source):
                raise RecipeError(f"{origin}: {needs}; {name!r} is a recipe")
            _check_on(base, source, name, f"{origin}: {needs}")
        if signature.combine == "factor":
            _check_ranks(recipe, operands(recipe, signature), origin)
    for name, child in recipe.inputs.items():
        check_adapters(child, methods, origin=f"{origin}: inputs.{name}")


def adapter_base(recipe: Recipe, methods: Mapping[str, Signature], *, origin: str) -> Source:
    """The model that the recipe's result is one adapter on.

    It is one for a merge with a model as its origin, adapters on it (or recipes that give one) as
    its operands, and a method of the family *span* or *adapter*.

    Raises:
        RecipeError: it is not, and why.
    """
    lead = f"{origin}: the result is not one adapter"
    if isinstance(recipe, Source):
        raise RecipeError(f"{lead}: nothing is merged, the recipe is a source")
    return _base_below(recipe, methods, lead)


def _base_below(recipe: Recipe, methods: Mapping[str, Signature], lead: str) -> Source:
    """The model that the recipe's result is an adapter on."""
    if not isinstance(recipe, Merge):
        raise RecipeError(
            f"{lead}: a recipe of kind {recipe.kind!r} changes no weight by a low-rank product"
        )
    signature = methods[recipe.method]
    if signature.base not in ("origin", "optional_origin"):
        raise RecipeError(
            f"{lead}: method {recipe.method!r} combines whole models, not changes of a base;"
            " task_arithmetic sums changes"
        )
    if signature.family not in ("span", "adapter"):
        raise RecipeError(
            f"{lead}: method {recipe.method!r} (family {signature.family}) leaves no change of low"
            " rank; write a model instead"
        )
    base = _plain(recipe, f"{lead}: that takes adapters on one model")
    for name in operands(recipe, signature):
        child = recipe.inputs[name]
        if isinstance(child, Source):
            _check_on(base, child, name, f"{lead}: that takes adapters on one model")
            continue
        inner = f"{lead}: inputs.{name}"
        if model_folder(_base_below(child, methods, inner)) != model_folder(base):
            raise RecipeError(f"{inner}: its base is another model than {model_folder(base)}")
    return base


def _plain(merge: Merge, lead: str) -> Source:
    """The merge's base, which has to be a model as it is."""
    if merge.base is None:
        raise RecipeError(f"{lead}; name that model as 'base'")
    base = merge.inputs[merge.base]
    if not isinstance(base, Source):
        raise RecipeError(f"{lead}; the base {merge.base!r} is a recipe")
    if base.adapter is not None:
        raise RecipeError(f"{lead}; the base {merge.base!r} has an adapter of its own")
    return base


def _check_on(base: Source, source: Source, name: str, lead: str) -> None:
    if source.adapter is None:
        raise RecipeError(f"{lead}; {name!r} has no adapter")
    if model_folder(source) != model_folder(base):
        raise RecipeError(
            f"{lead}; {name!r} is an adapter on {model_folder(source)}, the base is"
            f" {model_folder(base)}"
        )
    folder = adapter_folder(source)
    other = read_adapter_inventory(folder).no_factors if folder else None
    if other:
        setting, weight = other
        raise RecipeError(
            f"{lead}; {name!r} changes {weight} by {setting}, which is no product of two matrices:"
            " take a method on weights, and write a model"
        )


def _check_ranks(merge: Merge, names: tuple[str, ...], origin: str) -> None:
    seen: dict[str, tuple[str, int, float]] = {}
    for name in names:
        source = merge.inputs[name]
        folder = adapter_folder(source) if isinstance(source, Source) else None
        assert folder is not None, "checked before"
        for weight, info in read_adapter_inventory(folder).changes.items():
            assert isinstance(info, FactorInfo), "checked before"
            first, rank, scale = seen.setdefault(weight, (name, info.rank, info.scale))
            if (rank, scale) != (info.rank, info.scale):
                raise RecipeError(
                    f"{origin}: method {merge.method!r} sums factors, which takes one rank and one"
                    f" scale (alpha / rank): on {weight} {first!r} has {rank} and {scale:g},"
                    f" {name!r} has {info.rank} and {info.scale:g}; 'task_arithmetic' sums changes"
                    " of any rank"
                )
