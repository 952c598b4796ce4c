"""From a recipe and a bank to weights: one tensor at a time, in float32."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evomerge.errors import CandidateError, RecipeError
from evomerge.merging.adapter import LowRank
from evomerge.merging.architecture import in_layer, place
from evomerge.merging.bank import Bank
from evomerge.merging.operators import operators
from evomerge.merging.selection import generator
from evomerge.recipe.check import operands
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe, Stack

__all__ = ["donor", "evaluate", "tensor_names"]


def donor(recipe: Recipe) -> Source:
    """The source whose configuration, tokenizer and tensor names the result takes.

    The base where there is one, else the first input by name; a stack's is its embedding's.
    """
    match recipe:
        case Source():
            return recipe
        case Merge():
            return donor(recipe.inputs[recipe.base or min(recipe.inputs)])
        case Stack():
            return donor(recipe.inputs[recipe.embedding])


def tensor_names(recipe: Recipe, bank: Bank) -> Iterator[str]:
    """The result's checkpoint names, in sorted order; a stack repeats its layers' names by hop."""
    names = sorted(bank.inventory(donor(recipe)).tensors)
    if not isinstance(recipe, Stack):
        yield from names
        return
    yield from (name for name in names if place(name).layer is None)
    for number in range(len(recipe.hops)):
        yield from (in_layer(name, number) for name in names if place(name).layer == 0)


def evaluate(recipe: Recipe, name: str, bank: Bank) -> Tensor:
    """The tensor `name` of the recipe's model, float32, not rounded yet; the caller's to change.

    Raises:
        CandidateError: the combination is undefined for these parameters.
    """
    match recipe:
        case Source():
            return bank.tensor(recipe, name)
        case Merge():
            return _merge(recipe, name, bank)
        case Stack():
            return _stack(recipe, name, bank)


def _stack(stack: Stack, name: str, bank: Bank) -> Tensor:
    at = place(name)
    if at.layer is None:
        of = stack.embedding if at.component == "embedding" else stack.head
        return evaluate(stack.inputs[of], name, bank)
    hop = stack.hops[at.layer]
    if hop.scale != 1.0:
        raise RecipeError(
            f"hop {at.layer} scales its input by {hop.scale}, which no plain checkpoint can hold"
        )
    return evaluate(stack.inputs[hop.of], in_layer(name, hop.layer), bank)


def _merge(merge: Merge, name: str, bank: Bank) -> Tensor:
    operator = operators()[merge.method]
    rule = merge.rule_for(place(name))
    names = operands(merge, operator.signature)
    options = operator.signature.shared.model_validate({**merge.options, **rule.options})
    each = [operator.signature.each.model_validate(rule.inputs.get(one, {})) for one in names]
    origin = merge.inputs[merge.base] if merge.base else None
    if operator.signature.base in ("none", "anchor") or origin is None:
        inputs = [merge.inputs[one] for one in names]
        if operator.signature.base == "anchor" and origin is not None:
            inputs.insert(0, origin)
        vectors: list[Vector] = [evaluate(one, name, bank) for one in inputs]
        result = None
    else:
        inputs = [origin, *(merge.inputs[one] for one in names)]
        vectors = [_change(merge.inputs[one], origin, name, bank) for one in names]
        result = evaluate(origin, name, bank)
    match operator.signature.family:
        case "span":
            gram = None
            if operator.needs_gram:
                gram = bank.gram(_key(name, *inputs), _dense(vectors, like=result))
            return _combine(result, vectors, operator.function(gram, options, each))
        case "elementwise":
            if result is None or all(vector is None for vector in vectors):
                return _required(result)
            taus = _dense(vectors, like=result)
            look = _BankLook(bank, merge, name, names, taus)
            return result.add_(operator.function(taus, options, each, look))
        case family:
            raise RecipeError(
                f"method {operator.signature.name!r}: no engine for family {family!r}"
            )


LARGEST = torch.finfo(torch.float32).max
Vector = Tensor | LowRank | None
"""Weights or a task vector; a low-rank one as its factors, None where it is zero anyway."""


def _change(recipe: Recipe, origin: Recipe, name: str, bank: Bank) -> Vector:
    if isinstance(recipe, Source) and isinstance(origin, Source):
        return bank.change(recipe, origin, name)
    return evaluate(recipe, name, bank).sub_(evaluate(origin, name, bank))


def _combine(
    result: Tensor | None, vectors: Sequence[Vector], coefficients: Sequence[float]
) -> Tensor:
    """origin + sum_i c_i v_i, in place of the origin or of the first vector."""
    for vector, coefficient in zip(vectors, coefficients, strict=True):
        if not abs(coefficient) <= LARGEST:
            raise CandidateError(f"the coefficient {coefficient:g} is not finite in float32")
        match vector:
            case None:
                continue
            case LowRank():
                vector.add_to(_required(result), coefficient)
            case Tensor():
                result = (
                    vector.mul_(coefficient)
                    if result is None
                    else result.add_(vector, alpha=coefficient)
                )
    return _required(result)


def _dense(vectors: Sequence[Vector], like: Tensor | None = None) -> list[Tensor]:
    shaped = like if like is not None else next(v for v in vectors if isinstance(v, Tensor))
    return [
        torch.zeros_like(shaped) if v is None else v.dense() if isinstance(v, LowRank) else v
        for v in vectors
    ]


def _key(name: str, *inputs: Recipe) -> tuple[str | Source, ...] | None:
    """What names a statistic in the bank; None (not kept) where an input is itself a candidate."""
    sources = [one for one in inputs if isinstance(one, Source)]
    return (name, *sources) if len(sources) == len(inputs) else None


def _required(tensor: Tensor | None) -> Tensor:
    if tensor is None:
        raise CandidateError("nothing to combine")
    return tensor


@dataclass(frozen=True)
class _BankLook:
    """What an operator may ask, answered from the bank's cache and the recipe's seed."""

    bank: Bank
    merge: Merge
    tensor: str
    names: Sequence[str]
    taus: Sequence[Tensor]

    def keep_largest(self, i: int, density: float) -> Tensor:
        inputs = self.merge.inputs
        key = _key(self.tensor, inputs[self.names[i]], inputs[self.merge.base or ""])
        return self.bank.threshold(key, self.taus[i], density).mask(self.taus[i])

    def keep_random(self, i: int, keep: float) -> Tensor:
        tau = self.taus[i]
        draws = generator(self.merge.seed, self.tensor, self.names[i])
        return (torch.rand(tau.shape, generator=draws) < keep).to(tau.device)
