"""Whether a recipe makes a model that exists already: a search may end where it began."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from evomerge.recipe.check import operands
from evomerge.recipe.digest import digest
from evomerge.recipe.signature import Signature
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe, Segments, Stack
from evomerge.value import parse

__all__ = ["reduced", "same_as", "sole_input"]

ROUNDING = 1e-9


def same_as(
    recipe: Recipe,
    known: Mapping[str, Recipe],
    methods: Mapping[str, Signature],
    layers: Callable[[Recipe], int],
) -> str | None:
    """The name of the known model whose weights the recipe makes, but for rounding; None: of none.

    Told from the recipe alone: all of the weight is on one input, or the path is one input's own.
    Methods of which that cannot be told are taken to make something new.

    Args:
        known: name -> a source, or another recipe.
        methods: every merge method by name.
        layers: how many layers a recipe's model has; asked for stacks only.
    """
    wanted = digest(reduced(recipe, methods, layers))
    for name, other in known.items():
        if digest(reduced(other, methods, layers)) == wanted:
            return name
    return None


def reduced(
    recipe: Recipe, methods: Mapping[str, Signature], layers: Callable[[Recipe], int]
) -> Recipe:
    """The smallest recipe of the same weights that can be told from the recipe alone."""
    match recipe:
        case Source():
            return recipe.model_copy(update={"statistics": None})  # no weight depends on them
        case Merge():
            only = sole_input(recipe, methods)
        case Segments():
            only = _whole_input(recipe)
        case Stack():
            only = _own_path(recipe, layers)
    return recipe if only is None else reduced(recipe.inputs[only], methods, layers)


def sole_input(merge: Merge, methods: Mapping[str, Signature]) -> str | None:
    """The input that the merge gives back, as every one of its rules says."""
    signature = methods[merge.method]
    names = operands(merge, signature)
    taken_inputs: set[str | None] = set()
    for rule in merge.rules:
        shared = parse(signature.shared, {**merge.options, **rule.options}, origin="options")
        each = [parse(signature.each, rule.inputs.get(name, {}), origin=name) for name in names]
        taken = signature.sole(shared, each)
        if taken is None:
            return None
        taken_inputs.add(merge.base if taken == "base" else names[taken])
    return taken_inputs.pop() if len(taken_inputs) == 1 else None


def _whole_input(recipe: Segments) -> str | None:
    """The input whose coefficient is 1 everywhere, while all others are 0."""
    taken_inputs: set[str] = set()
    for chromosome in recipe.chromosomes:
        for at in range(len(chromosome.ends)):
            left = {name: many[at] for name, many in chromosome.coefficients.items()}
            left = {name: value for name, value in left.items() if abs(value) > ROUNDING}
            if len(left) != 1 or abs(next(iter(left.values())) - 1) > ROUNDING:
                return None
            taken_inputs |= left.keys()
    return taken_inputs.pop() if len(taken_inputs) == 1 else None


def _own_path(stack: Stack, layers: Callable[[Recipe], int]) -> str | None:
    """The input all of whose layers run in their order, with its own embedding and head."""
    own = stack.embedding
    if stack.head != own or any(hop.of != own or hop.scale != 1 for hop in stack.hops):
        return None
    path = [hop.layer for hop in stack.hops]
    return own if path == list(range(layers(stack.inputs[own]))) else None
