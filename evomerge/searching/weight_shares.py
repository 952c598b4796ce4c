"""Which parents carry weight in a recipe: a specialist that a search has turned off belongs in no
fair baseline."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import pairwise

from evomerge.models.blueprint import outline
from evomerge.models.headers import Headers
from evomerge.recipe.check import operands
from evomerge.recipe.signature import Signature
from evomerge.recipe.tree import Merge, Recipe, Rule, Segments, Stack
from evomerge.value import parse

__all__ = ["CARRIES", "carriers", "weight_shares"]

CARRIES = 0.5
"""An input carries weight if it has at least this share of what the heaviest has. A search seldom
turns a useless parent off: the demo's winner keeps 0.28 of its unrelated specialist beside 0.72 and
0.66 of the two that the task needs."""


def carriers(
    recipe: Recipe,
    names: Collection[str],
    methods: Mapping[str, Signature],
    headers: Headers,
) -> list[str]:
    """Those of the named inputs that carry weight in the recipe; all of them where it is not known.

    Where each of three or more does, the lightest is left out all the same: a merge without it is
    what a person tries next, and a row more can only count against the recipe.

    Raises:
        SourceError: a model cannot be read.
    """
    shares = weight_shares(recipe, methods, headers)
    own = {name: shares.get(name, 0.0) for name in names}
    heaviest = max(own.values(), default=0.0)
    carrying = [name for name, share in own.items() if share >= CARRIES * heaviest]
    lightest = min(own, key=lambda name: own[name], default="")
    if len(carrying) == len(own) > 2 and own[lightest] < heaviest:
        carrying.remove(lightest)
    return carrying


def weight_shares(
    recipe: Recipe, methods: Mapping[str, Signature], headers: Headers
) -> dict[str, float]:
    """Input -> its absolute weight, summed over the model's parameters; of a path, its hops.

    Nothing where the recipe does not say it: a source, or a method that takes no weights.
    """
    match recipe:
        case Merge():
            return _of_merge(recipe, methods[recipe.method], headers)
        case Segments():
            return _of_segments(recipe)
        case Stack():
            of = [hop.of for hop in recipe.hops]
            return {name: float(of.count(name)) for name in recipe.inputs}
        case _:
            return {}


def _of_merge(merge: Merge, signature: Signature, headers: Headers) -> dict[str, float]:
    if "weight" not in signature.each.model_fields:
        return {}
    elements = dict.fromkeys(range(len(merge.rules)), 0)
    made = outline(merge, headers)
    for tensor in made.tensors:
        where = made.anatomy.place(tensor.name)
        first = next(n for n, rule in enumerate(merge.rules) if rule.where.matches(where))
        elements[first] += tensor.elements
    shares: dict[str, float] = {}
    for number, rule in enumerate(merge.rules):
        for name in operands(merge, signature):
            weight = abs(_weight(rule, name, signature))
            shares[name] = shares.get(name, 0.0) + elements[number] * weight
    return shares


def _weight(rule: Rule, name: str, signature: Signature) -> float:
    own = parse(signature.each, rule.inputs.get(name, {}), origin=name)
    return float(dict(own)["weight"])


def _of_segments(recipe: Segments) -> dict[str, float]:
    """An input that is a change of another input by a merge counts as that one."""
    shares: dict[str, float] = {}
    for chromosome in recipe.chromosomes:
        for at, (start, end) in enumerate(pairwise((0, *chromosome.ends))):
            inside: dict[str, float] = {}
            for name, many in chromosome.coefficients.items():
                child = recipe.inputs[name]
                changed = child.base if isinstance(child, Merge) else None
                whose = changed if changed in recipe.inputs and changed is not None else name
                inside[whose] = inside.get(whose, 0.0) + many[at]
            for name, coefficient in inside.items():
                shares[name] = shares.get(name, 0.0) + (end - start) * abs(coefficient)
    return shares
