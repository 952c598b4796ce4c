"""One merge of a recipe, ready for its tensors: operands found, operator called, result formed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from evomerge.errors import RecipeError
from evomerge.merging.architecture import place
from evomerge.merging.bank import Bank
from evomerge.merging.look import TensorLook
from evomerge.merging.names import layer_count, tensor_names
from evomerge.merging.operators import operators
from evomerge.merging.operators.base import Operator
from evomerge.merging.vectors import Vector, combine, dense
from evomerge.recipe.check import operands
from evomerge.recipe.digest import digest
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge

__all__ = ["Node", "Weights"]

Weights = Callable[[str], Tensor]
"""Checkpoint name -> a new float32 tensor, the caller's to change."""


@dataclass(frozen=True)
class Node:
    """A merge over a bank."""

    merge: Merge
    bank: Bank
    inputs: Mapping[str, Weights]
    """The merge's inputs, ready in the same way."""

    def value(self, name: str) -> Tensor:
        """The merged tensor, float32; the caller's to change."""
        origin, vectors = self._vectors(name)
        options, each = self._parameters(name)
        look = self._look(name, origin, vectors, self._survey)
        function = self._operator.function
        match self._operator.signature.family:
            case "span":
                return combine(origin, vectors, function(options, each, look))
            case "elementwise" | "matrix":
                if origin is None:
                    raise RecipeError(f"method {self.merge.method!r} needs a base")
                if all(vector is None for vector in vectors):
                    return origin
                change: Tensor = function(dense(vectors, origin), options, each, look)
                return change.add_(origin)
            case family:
                raise RecipeError(f"method {self.merge.method!r}: no engine for family {family!r}")

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
    def _layers(self) -> int:
        return layer_count(self.merge, self.bank)

    def _parameters(self, name: str) -> tuple[Any, list[Any]]:
        signature = self._operator.signature
        rule = self.merge.rule_for(place(name))
        options = signature.shared.model_validate({**self.merge.options, **rule.options})
        return options, [
            signature.each.model_validate(rule.inputs.get(one, {})) for one in self._names
        ]

    def _vectors(self, name: str) -> tuple[Tensor | None, list[Vector]]:
        """The origin's weights, if there is an origin, and the operands' vectors."""
        if self._origin is None:
            return None, [self.inputs[one](name) for one in self._inputs]
        return self.inputs[self._origin](name), [self._change(one, name) for one in self._inputs]

    def _change(self, one: str, name: str) -> Vector:
        """The task vector of an input, without its weights where it can be had without them."""
        origin = self._origin or ""
        source, base = self.merge.inputs[one], self.merge.inputs[origin]
        if isinstance(source, Source) and isinstance(base, Source):
            return self.bank.change(source, base, name)
        return self.inputs[one](name).sub_(self.inputs[origin](name))

    def _look(
        self,
        name: str,
        origin: Tensor | None,
        vectors: Sequence[Vector],
        survey: Callable[[], Sequence[Mapping[str, float]]],
    ) -> TensorLook:
        return TensorLook(
            bank=self.bank,
            tensor=name,
            names=self._names,
            layers=self._layers,
            seed=self.merge.seed,
            vectors=vectors,
            keys=[self._key(one, name) for one in self._inputs],
            origin=origin,
            everywhere=self._everywhere,
            survey=survey,
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
            origin, vectors = self._vectors(name)
            yield name, dense([vectors[i]], origin)[0]

    def _survey(self) -> Sequence[Mapping[str, float]]:
        """What the operator's survey finds, once a recipe."""
        return self.bank.remember(("survey", digest(self.merge)), self._rounds)

    def _rounds(self) -> list[dict[str, float]]:
        """A pass over the whole model each; what it finds in the tensors is added up."""
        done: list[dict[str, float]] = []
        survey = self._operator.survey
        for _ in range(self._operator.rounds(len(self._names)) if survey else 0):
            totals: dict[str, float] = {}
            for name in tensor_names(self.merge, self.bank):
                origin, vectors = self._vectors(name)
                options, each = self._parameters(name)
                look = self._look(name, origin, vectors, lambda: done)
                assert survey is not None
                for key, value in survey(dense(vectors, origin), options, each, look).items():
                    totals[key] = totals.get(key, 0.0) + value
            done.append(totals)
        return done
