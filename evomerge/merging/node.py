"""One merge of a recipe, ready for its tensors: operands found, operator called, result formed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from evomerge.errors import RecipeError
from evomerge.merging.adapter import LowRank, Rows
from evomerge.merging.architecture import place
from evomerge.merging.bank import Bank
from evomerge.merging.look import TensorLook
from evomerge.merging.names import layer_count, tensor_names
from evomerge.merging.operators import operators
from evomerge.merging.operators.base import Coefficients, Operator
from evomerge.merging.statistics import statistics_of
from evomerge.merging.vectors import Vector, combine, dense
from evomerge.recipe.check import operands
from evomerge.recipe.digest import digest
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge

__all__ = ["Node", "Weights"]

BLOCK = 1 << 18
"""Elements of a block of rows: a megabyte in float32, so that temporaries stay in cache."""


class Weights(Protocol):
    """A model's tensors by checkpoint name."""

    def __call__(self, name: str, dtype: torch.dtype = torch.float32) -> Tensor:
        """A new tensor, rounded once from float32; the caller's to change."""


@dataclass(frozen=True)
class _Vectors:
    """A tensor's origin, if there is one, and its operands' vectors, by rows."""

    shape: torch.Size
    origin: Callable[[Rows], Tensor] | None
    vectors: Sequence[Callable[[Rows], Vector]]

    def whole(self, i: int) -> Tensor:
        """Vector `i`, all of it, dense; not for keeping."""
        found = self.vectors[i](...)
        if found is None:
            return torch.zeros(self.shape)
        return found.dense() if isinstance(found, LowRank) else found

    def dense(self, rows: Rows, origin: Tensor) -> list[Tensor]:
        return dense([read(rows) for read in self.vectors], origin)

    def blocks(self) -> Iterator[tuple[slice, int]]:
        """Ranges of rows, each with the flat index where it starts."""
        width = self.shape.numel() // self.shape[0]
        height = max(1, BLOCK // max(width, 1))
        for first in range(0, self.shape[0], height):
            yield slice(first, first + height), first * width


@dataclass(frozen=True)
class Node:
    """A merge over a bank."""

    merge: Merge
    bank: Bank
    inputs: Mapping[str, Weights]
    """The merge's inputs, ready in the same way."""

    def value(self, name: str, dtype: torch.dtype = torch.float32) -> Tensor:
        """The merged tensor, rounded once; the caller's to change."""
        found = self._vectors(name)
        options, each = self._parameters(name)
        look = self._look(name, found, self._survey)
        if self._operator.signature.family == "span":
            coefficients = self._operator.function(options, each, look)
            if np.ndim(coefficients) == 2:  # row by row
                return self._combined(found, coefficients, ...).to(dtype)
            return self._by_blocks(
                found, dtype, lambda rows, start: self._combined(found, coefficients, rows)
            )
        if found.origin is None and self._operator.signature.base == "origin":
            raise RecipeError(f"method {self.merge.method!r} needs a base")
        if not self._operator.by_rows(options):
            return self._changed(found, options, each, look, ..., 0).to(dtype)
        return self._by_blocks(
            found,
            dtype,
            lambda rows, start: self._changed(found, options, each, look, rows, start),
        )

    def _by_blocks(
        self, found: _Vectors, dtype: torch.dtype, merge: Callable[[Rows, int], Tensor]
    ) -> Tensor:
        """The tensor, some rows at a time, so that what is computed in between stays in cache."""
        if found.shape.numel() <= BLOCK or len(found.shape) < 2:  # a vector counts as one row
            return merge(..., 0).to(dtype)
        out: Tensor | None = None
        for rows, start in found.blocks():
            merged = merge(rows, start)
            if out is None:
                out = merged.new_empty(found.shape, dtype=dtype)
            out[rows] = merged
        assert out is not None, "a tensor of more elements than a block has rows"
        return out

    def _combined(self, found: _Vectors, coefficients: Coefficients, rows: Rows) -> Tensor:
        origin = found.origin(rows) if found.origin else None
        return combine(origin, [read(rows) for read in found.vectors], coefficients)

    def _changed(
        self,
        found: _Vectors,
        options: Any,
        each: Sequence[Any],
        look: TensorLook,
        rows: Rows,
        start: int,
    ) -> Tensor:
        origin = found.origin(rows) if found.origin else None
        vectors = [read(rows) for read in found.vectors]
        if origin is not None and all(vector is None for vector in vectors):
            return origin
        taus = dense(vectors, origin)
        at_hand = replace(look, part=taus, origin=origin, start=start)
        change: Tensor = self._operator.function(taus, options, each, at_hand)
        return change if origin is None else change.add_(origin)

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
    def _layers(self) -> int:
        return layer_count(self.merge, self.bank)

    def _parameters(self, name: str) -> tuple[Any, list[Any]]:
        signature = self._operator.signature
        rule = self.merge.rule_for(place(name))
        options = signature.shared.model_validate({**self.merge.options, **rule.options})
        return options, [
            signature.each.model_validate(rule.inputs.get(one, {})) for one in self._names
        ]

    def _vectors(self, name: str) -> _Vectors:
        if self._origin is None:
            readers = [self._reader(one, name) for one in self._inputs]
            return _Vectors(self._shape(self._inputs[0], name, readers[0]), None, readers)
        origin = self._reader(self._origin, name)
        changes = [self._change(one, name, origin) for one in self._inputs]
        return _Vectors(self._shape(self._origin, name, origin), origin, changes)

    def _shape(self, one: str, name: str, read: Callable[[Rows], Tensor]) -> torch.Size:
        source = self.merge.inputs[one]
        if isinstance(source, Source):
            return torch.Size(self.bank.inventory(source).tensors[name].shape)
        return read(...).shape

    def _reader(self, one: str, name: str) -> Callable[[Rows], Tensor]:
        """Reads rows of an input's weights."""
        source = self.merge.inputs[one]
        if isinstance(source, Source):
            return self.bank.reader(source, name)
        whole = self.inputs[one](name)
        return lambda rows: whole[rows].clone()

    def _change(
        self, one: str, name: str, origin: Callable[[Rows], Tensor]
    ) -> Callable[[Rows], Vector]:
        """Reads rows of an input's task vector, without its weights where that can be."""
        source, base = self.merge.inputs[one], self.merge.inputs[self._origin or ""]
        if isinstance(source, Source) and isinstance(base, Source):
            return self.bank.change_reader(source, base, name)
        weights = self._reader(one, name)
        return lambda rows: weights(rows).sub_(origin(rows))

    def _look(
        self, name: str, found: _Vectors, survey: Callable[[], Sequence[Mapping[str, float]]]
    ) -> TensorLook:
        return TensorLook(
            bank=self.bank,
            tensor=name,
            names=self._names,
            layers=self._layers,
            size=found.shape.numel(),
            seed=self.merge.seed,
            whole=found.whole,
            keys=[self._key(one, name) for one in self._inputs],
            everywhere=self._everywhere,
            survey=survey,
            statistics=lambda i: statistics_of(self.merge.inputs[self._inputs[i]], self.bank),
        )

    def _key(self, one: str, name: str) -> Hashable:
        """What names a vector in the bank; None where it comes from a candidate."""
        source = self.merge.inputs[one]
        base = self.merge.inputs[self._origin] if self._origin else None
        if not isinstance(source, Source) or not isinstance(base, Source | None):
            return None
        return name, source, base

    def _everywhere(self, i: int) -> Iterator[tuple[str, Tensor]]:
        for name in tensor_names(self.merge, self.bank):
            yield name, self._vectors(name).whole(i)

    def _survey(self) -> Sequence[Mapping[str, float]]:
        """What the operator's survey finds, once a recipe."""
        return self.bank.remember(("survey", self._digest), self._rounds)

    def _rounds(self) -> list[dict[str, float]]:
        """A pass over the whole model each; what it finds in the tensors is added up."""
        done: list[dict[str, float]] = []
        survey = self._operator.survey
        for _ in range(self._operator.rounds(len(self._names)) if survey else 0):
            totals: dict[str, float] = {}
            for name in tensor_names(self.merge, self.bank):
                found = self._vectors(name)
                assert survey is not None
                assert found.origin is not None
                options, each = self._parameters(name)
                origin = found.origin(...)
                taus = found.dense(..., origin)
                look = self._look(name, found, lambda: done)
                look = replace(look, part=taus, origin=origin)
                for key, value in survey(taus, options, each, look).items():
                    totals[key] = totals.get(key, 0.0) + value
            done.append(totals)
        return done
