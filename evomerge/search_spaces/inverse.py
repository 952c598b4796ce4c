"""From a recipe back to the genome of a parameter space, so that a search can start from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from evomerge.errors import RecipeError
from evomerge.recipe.check import operands
from evomerge.recipe.selector import BROADER, COMPONENTS, Place, Selector
from evomerge.recipe.signature import Signature
from evomerge.recipe.source import Source
from evomerge.recipe.tokenizer import TokenizerChoice
from evomerge.recipe.tree import Merge, Recipe

__all__ = ["MergeParameters", "place_of", "places_of"]

_TOLERANCE = 1e-9
"""Relative; a value that went through a gene's unit interval and back is off by rounding."""


class MergeParameters:
    """A merge's parameters, read under the names that a space gives to its sources."""

    def __init__(
        self,
        recipe: Recipe,
        *,
        parents: Mapping[str, Recipe],
        base: Source | None,
        methods: Sequence[Signature],
        seed: int,
        tokenizer: TokenizerChoice | None = None,
        by_tensor: bool = False,
    ) -> None:
        """`by_tensor`: it is asked about places of real tensors, which any selector may tell apart.

        Raises:
            RecipeError: the space has no such method, parents, base, seed or tokenizer.
        """
        if not isinstance(recipe, Merge):
            raise RecipeError(f"the space holds merges, and this is a {recipe.kind}")
        signatures = {signature.name: signature for signature in methods}
        if recipe.method not in signatures:
            raise RecipeError(
                f"its method is {recipe.method!r}, the space has {', '.join(signatures)}"
            )
        for key in () if by_tensor else ("name", "tower", "experts"):
            if any(getattr(rule.where, key) is not None for rule in recipe.rules):
                raise RecipeError(f"its rules select tensors by {key}, which the space does not")
        if recipe.seed != seed:
            raise RecipeError(f"its seed is {recipe.seed}, the space's is {seed}")
        if recipe.tokenizer != tokenizer:
            raise RecipeError("its tokenizer is not the space's")
        self.signature = signatures[recipe.method]
        self._recipe = recipe
        self._named = _matched(recipe, self.signature, parents, base)

    def at(self, place: Place) -> dict[str, Any]:
        """Parameter -> value at a place, a parent's own as `math.weight`, defaults among them."""
        rule = self._recipe.rule_for(place)
        shared = {**self._recipe.options, **rule.options}
        values = self.signature.shared.model_validate(shared).model_dump(by_alias=True)
        for name, theirs in self._named.items():
            each = self.signature.each.model_validate(rule.inputs.get(theirs, {}))
            values |= {f"{name}.{key}": v for key, v in each.model_dump(by_alias=True).items()}
        return values

    def check_equals(self, other: MergeParameters, places: Iterable[Place]) -> None:
        """Raises:
        RecipeError: the other recipe has another parameter somewhere in these, and where.
        """
        for place in places:
            theirs = other.at(place)
            for name, value in self.at(place).items():
                if not _same(value, theirs[name]):
                    raise RecipeError(
                        f"{name} is {value} at {_said(place)}, where the space can only have"
                        f" {theirs[name]}"
                    )


def place_of(where: Selector) -> Place:
    """A place that the selector matches."""
    outside = where.component in ("embedding", "head")
    layer = where.layers[0] if where.layers else None if outside else 0
    return Place(layer, where.component)


def _matched(
    recipe: Merge, signature: Signature, parents: Mapping[str, Recipe], base: Source | None
) -> dict[str, str]:
    """The space's name of each parent -> the recipe's name of it, by what they are."""
    theirs = recipe.inputs[recipe.base] if recipe.base else None
    if signature.base != "none" and theirs != base:
        raise RecipeError("its base is not the space's")
    left = {name: recipe.inputs[name] for name in operands(recipe, signature)}
    named: dict[str, str] = {}
    for name, source in parents.items():
        for their_name, input_ in left.items():
            if input_ == source:
                named[name] = their_name
                break
        else:
            of = f" ({source.model})" if isinstance(source, Source) else ""
            raise RecipeError(f"it does not merge {name!r}{of}")
        del left[named[name]]
    if left:
        raise RecipeError(f"its input {next(iter(left))!r} is no parent of the space")
    return named


def places_of(layers: int) -> Iterator[Place]:
    """Every place that a model of so many layers may have a tensor at."""
    plain = [component for component in COMPONENTS if component not in BROADER]
    for layer in (None, *range(layers)):
        for component in (*plain, None, *BROADER):
            yield Place(layer, component)


def _same(value: Any, other: Any) -> bool:
    if isinstance(value, float) and isinstance(other, float):
        return math.isclose(value, other, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    return bool(value == other)


def _said(place: Place) -> str:
    words = [f"layer {place.layer}"] if place.layer is not None else []
    return ", ".join([*words, *([place.component] if place.component else [])]) or "other tensors"
