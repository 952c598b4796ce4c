"""One merge of a recipe, ready for its tensors: operands found, operator called, result formed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from evomerge.errors import CandidateError, RecipeError
from evomerge.merging.bank import Bank, VectorKey
from evomerge.merging.box import Box
from evomerge.merging.context import BankContext
from evomerge.merging.factors import merged_factors
from evomerge.merging.finite import is_finite
from evomerge.merging.kernel import run, weighted_sum
from evomerge.merging.statistics import statistics_of
from evomerge.merging.vectors import Operands, Vector, require_finite
from evomerge.models.blueprint import Blueprint, outline
from evomerge.operators import operators
from evomerge.operators.base import Coefficients, KernelPlan, Operator
from evomerge.operators.low_rank import LowRank
from evomerge.recipe.check import operands
from evomerge.recipe.digest import digest
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Rule

__all__ = ["Node", "Weights"]


class Weights(Protocol):
    """A model's tensors by checkpoint name."""

    def __call__(
        self, name: str, dtype: torch.dtype = torch.float32, box: Box | None = None
    ) -> Tensor:
        """A new tensor, rounded once from float32; the caller's to change.

        `box`: what is wanted of it, the same bits as in the whole. No more is merged where the
        method goes by elements.

        Raises:
            CandidateError: it is not finite, or undefined for the recipe's parameters.
        """


@dataclass(frozen=True)
class Node:
    """A merge over a bank."""

    merge: Merge
    bank: Bank
    inputs: Mapping[str, Weights]
    """The merge's inputs, ready in the same way."""

    def value(
        self, name: str, dtype: torch.dtype = torch.float32, box: Box | None = None
    ) -> Tensor:
        """The merged tensor, or a box of it, rounded once; the caller's to change."""
        if box is not None and not self._goes_by_elements(box):
            return self._cut_from_whole(name, dtype, box)
        tensor_operands = self._operands(name, box)
        if box is not None and tensor_operands.low_rank():  # whose product has no such parts
            return self._cut_from_whole(name, dtype, box)
        options, each = self._parameters(name)
        context = self._context(name, self._survey, tensor_operands, box)
        if self._operator.signature.family == "span":
            merged, finite = self._summed(tensor_operands, options, each, context, dtype, box)
        elif tensor_operands.origin is None and self._operator.signature.base == "origin":
            raise RecipeError(f"method {self.merge.method!r} needs a base")
        elif tensor_operands.unchanged:
            merged, finite = tensor_operands.base().to(dtype), True
        elif self._operator.signature.family == "adapter":
            merged = self._over(tensor_operands.origin, [self.factors(name)]).summed([1.0], dtype)
            finite = is_finite(merged)
        elif self._operator.plan is not None:
            merged, finite = self._planned(tensor_operands, options, each, context, dtype, box)
        else:
            change: Tensor = self._operator.function(context.taus(), options, each, context)
            merged = (
                change if tensor_operands.origin is None else change + tensor_operands.base()
            ).to(dtype)
            finite = is_finite(merged)
        if not finite:
            raise CandidateError(f"the merged tensor {name!r} is not finite")
        return merged

    def coefficients(self, name: str) -> Coefficients:
        """What a span method multiplies the operands by."""
        options, each = self._parameters(name)
        context = self._context(name, self._survey, self._operands(name))
        coefficients: Coefficients = self._operator.function(options, each, context)
        return coefficients

    def factors(self, name: str) -> LowRank | None:
        """The change that a method on adapters makes; None where no adapter changes the tensor."""
        tensor_operands, (options, each) = self._operands(name), self._parameters(name)
        context = self._context(name, self._survey, tensor_operands)
        return merged_factors(
            self._operator, tensor_operands.vectors, tensor_operands.shape, options, each, context
        )

    def _summed(
        self,
        tensor_operands: Operands,
        options: Any,
        each: Sequence[Any],
        context: BankContext,
        dtype: torch.dtype,
        box: Box | None,
    ) -> tuple[Tensor, bool]:
        coefficients = self._operator.function(options, each, context)
        require_finite(coefficients)
        if isinstance(coefficients, np.ndarray) and coefficients.ndim == 2:  # row by row
            if box is not None and len(box.shape) == 2:
                coefficients = coefficients[:, slice(*box.ranges[0])]
            merged = tensor_operands.summed_by_rows(coefficients).to(dtype)
            return merged, is_finite(merged)
        numbers = [float(coefficient) for coefficient in coefficients]
        if tensor_operands.low_rank():
            merged = tensor_operands.summed(numbers, dtype)
            return merged, is_finite(merged)
        there = [i for i, vector in enumerate(tensor_operands.vectors) if vector is not None]
        if not there:
            return tensor_operands.base().to(dtype), True
        plan = KernelPlan(numbers={"coefficient": [numbers[i] for i in there]})
        kinds = tensor_operands.kinds()
        merged, largest = run(
            weighted_sum,
            plan,
            tensor_operands.origin,
            [kinds[i] for i in there],
            dtype,
            passes=self.bank.passes,
        )
        return merged, math.isfinite(largest)

    def _planned(
        self,
        tensor_operands: Operands,
        options: Any,
        each: Sequence[Any],
        context: BankContext,
        dtype: torch.dtype,
        box: Box | None,
    ) -> tuple[Tensor, bool]:
        assert self._operator.plan is not None
        plan = self._operator.plan(options, each, context)
        if box is not None:
            parts = {name: [box.of(t) for t in many] for name, many in plan.elements.items()}
            plan = replace(plan, elements=parts)
        merged, largest = run(
            self._operator.function,
            plan,
            tensor_operands.origin,
            tensor_operands.kinds(),
            dtype,
            context.keys_of_draws(),
            passes=self.bank.passes,
            runs=box.runs if box is not None else None,
        )
        return merged, math.isfinite(largest)

    def _goes_by_elements(self, box: Box) -> bool:
        """Whether a box of the result needs no more than that box of the operands, beside what the
        bank knows of the whole: sums and elementwise methods, where the box lies in even runs."""
        operator = self._operator
        by_elements = operator.signature.family == "span" or operator.plan is not None
        return by_elements and box.runs is not None

    def _cut_from_whole(self, name: str, dtype: torch.dtype, box: Box) -> Tensor:
        """A box of the tensor that is merged whole, and kept until another one is."""
        if (name, dtype) not in self._last:
            self._last.clear()
            self._last[name, dtype] = self.value(name, dtype)
        return box.of(self._last[name, dtype]).clone()

    @cached_property
    def _last(self) -> dict[tuple[str, torch.dtype], Tensor]:
        """The tensor that was last merged whole for a box of it."""
        return {}

    @cached_property
    def _operator(self) -> Operator:
        return operators()[self.merge.method]

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return operands(self.merge, self._operator.signature)

    @cached_property
    def _origin(self) -> str | None:
        """Where the task vectors start from; None where the vectors are the weights."""
        role = self._operator.signature.base
        return self.merge.base if role in ("origin", "optional_origin") else None

    @cached_property
    def _inputs(self) -> list[str]:
        """The operands, an anchor first."""
        anchor = self._operator.signature.base == "anchor" and self.merge.base
        return [*([anchor] if anchor else []), *self._names]

    @cached_property
    def _digest(self) -> str:
        return digest(self.merge)

    @cached_property
    def _made(self) -> Blueprint:
        """What the merge makes, but for the rows of tokens."""
        return outline(self.merge, self.bank)

    def _parameters(self, name: str) -> tuple[Any, list[Any]]:
        rule = self.merge.rule_for(self._made.anatomy.place(name))
        if id(rule) not in self._known:
            self._known[id(rule)] = self._validated(rule)
        return self._known[id(rule)]

    def _validated(self, rule: Rule) -> tuple[Any, list[Any]]:
        signature = self._operator.signature
        options = signature.shared.model_validate({**self.merge.options, **rule.options})
        return options, [
            signature.each.model_validate(rule.inputs.get(operand, {})) for operand in self._names
        ]

    @cached_property
    def _known(self) -> dict[int, tuple[Any, list[Any]]]:
        """The options and parameters of a rule."""
        return {}

    def _operands(self, name: str, box: Box | None = None) -> Operands:
        if self._origin is None:
            return self._over(None, [self._weights(operand, name, box) for operand in self._inputs])
        origin = self._weights(self._origin, name, box)
        return self._over(origin, [self._vector(operand, name, box) for operand in self._inputs])

    def _over(self, origin: Tensor | None, vectors: Sequence[Vector]) -> Operands:
        return Operands(origin, vectors, self.bank.passes.block)

    def _weights(self, operand: str, name: str, box: Box | None) -> Tensor:
        """An input's weights: as stored where it is a source, in float32 where it is merged."""
        source = self.merge.inputs[operand]
        if isinstance(source, Source):
            return self.bank.weights(source, name, box)
        return self.inputs[operand](name, torch.float32, box)

    def _vector(self, operand: str, name: str, box: Box | None) -> Vector:
        """An input's weights, or its change of the origin where that is known without them."""
        source, base = self.merge.inputs[operand], self.merge.inputs[self._origin or ""]
        if isinstance(source, Source) and isinstance(base, Source):
            return self.bank.vector(source, base, name, box)
        return self._weights(operand, name, box)

    def _context(
        self,
        name: str,
        survey: Callable[[], Sequence[Mapping[str, float]]],
        tensor_operands: Operands,
        box: Box | None = None,
    ) -> BankContext:
        """`tensor_operands`: those of the box, where there is one."""
        return BankContext(
            bank=self.bank,
            tensor=name,
            names=self._names,
            place=self._made.anatomy.place(name),
            layers=self._made.depth(name),
            seed=self.merge.seed,
            shape=tuple(tensor_operands.shape) if box is None else box.shape,
            whole=lambda: tensor_operands if box is None else self._operands(name),
            keys=[self._key(operand, name) for operand in self._inputs],
            everywhere=self._everywhere,
            survey=survey,
            statistics=lambda i: statistics_of(self.merge.inputs[self._inputs[i]], self.bank),
        )

    def _key(self, operand: str, name: str) -> VectorKey | None:
        """What names a vector in the bank; None where it comes from a candidate."""
        source = self.merge.inputs[operand]
        base = self.merge.inputs[self._origin] if self._origin else None
        if not isinstance(source, Source) or not isinstance(base, Source | None):
            return None
        return name, source, base

    def _everywhere(self, i: int) -> Iterator[tuple[str, Tensor]]:
        for tensor in self._made.tensors:
            yield tensor.name, self._operands(tensor.name).whole(i)

    def _survey(self) -> Sequence[Mapping[str, float]]:
        """What the operator's survey finds, once a recipe."""
        return self.bank.remember(("survey", self._digest), self._rounds)

    def _rounds(self) -> list[dict[str, float]]:
        """A pass over the whole model each; what it finds in the tensors is added up."""
        done: list[dict[str, float]] = []
        survey = self._operator.survey
        for _ in range(self._operator.rounds(len(self._names)) if survey else 0):
            totals: dict[str, float] = {}
            for name in (tensor.name for tensor in self._made.tensors):
                assert survey is not None
                options, each = self._parameters(name)
                context = self._context(name, lambda: done, self._operands(name))
                for key, value in survey(context.taus(), options, each, context).items():
                    totals[key] = totals.get(key, 0.0) + value
            done.append(totals)
        return done
