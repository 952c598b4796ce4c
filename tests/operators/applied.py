"""An operator applied to one tensor of a model, with the engine's own look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evomerge.merging.bank import Bank
from evomerge.merging.context import BankContext
from evomerge.merging.draws import limit
from evomerge.merging.fusion import Kind
from evomerge.merging.kernel import run, weighted_sum
from evomerge.merging.vectors import Operands, require_finite
from evomerge.models.anatomy import anatomy_of
from evomerge.operators import operators
from evomerge.operators.base import Bernoulli, KernelPlan, Operator
from evomerge.operators.low_rank import LowRank
from evomerge.operators.selection import Threshold

UP = "model.layers.0.mlp.up_proj.weight"
F5 = [[4, -1, 2, 0, -3], [2, -3, 1, 5, 1], [1, 2, -6, -4, 0]]
"""The task vectors of the method cards' examples; their base is five ones."""

Rows = Sequence[Any] | Tensor


@dataclass(frozen=True, kw_only=True)
class MaskedContext(BankContext):
    """The engine's look, but with given masks in place of random ones."""

    masks: Mapping[int, Sequence[int]]

    def draws(self, i: int) -> Tensor:
        if i not in self.masks:
            return super().draws(i)
        kept = torch.tensor(self.masks[i], dtype=torch.bool).reshape(self.operands.shape)
        never = torch.iinfo(torch.int32).max
        return torch.full(kept.shape, never, dtype=torch.int32).masked_fill(kept, -never - 1)


@dataclass(frozen=True)
class Given:
    """Statistics of one tensor, whatever their kind; none where nothing is given."""

    value: Any

    def has(self, kind: str, name: str) -> bool:
        return self.value is not None

    def tensor(self, kind: str, name: str) -> Tensor:
        return torch.as_tensor(self.value, dtype=torch.float32)

    def norm(self, kind: str) -> float:
        return float(self.tensor(kind, "").norm())


def applied(
    method: str,
    vectors: Rows,
    each: Sequence[Mapping[str, Any]] | None = None,
    *,
    base: Any = None,
    tensor: str = UP,
    layers: int = 1,
    masks: Mapping[int, Sequence[int]] | None = None,
    names: Sequence[str] = "abcdefgh",
    seed: int = 0,
    statistics: Sequence[Any] | None = None,
    **options: Any,
) -> Tensor:
    """The change that the method makes (the weights, where it has no origin), in float32.

    To a method on adapters the vectors are changes I * vector, of the rank of their rows.
    `base`: the origin's weights, zeros where left out. An anchor's weights are the first vector.
    `statistics`: one tensor an input, of the kind that the method needs.
    """
    operator = operators()[method]
    signature = operator.signature
    rows = [torch.as_tensor(vector, dtype=torch.float32) for vector in vectors]
    before = [row.clone() for row in rows]
    count = len(rows) - (signature.base == "anchor")
    shared = signature.shared.model_validate(options)
    own = [signature.each.model_validate(one) for one in each or [{}] * count]
    origin = torch.zeros_like(rows[0]) if base is None else torch.as_tensor(base).float()
    context = MaskedContext(
        bank=Bank([]),
        tensor=tensor,
        place=anatomy_of([tensor]).place(tensor),
        names=names[:count],
        layers=layers,
        seed=seed,
        shape=tuple(origin.shape),
        whole=lambda: _Given(origin, rows),
        keys=[None] * len(rows),
        everywhere=lambda i: iter([(tensor, rows[i])]),
        survey=list,
        statistics=lambda i: Given(statistics[i] if statistics else None),
        masks=masks or {},
    )
    rounds: list[Mapping[str, float]] = []
    if operator.survey:
        for _ in range(operator.rounds(count)):
            asked = replace(context, survey=rounds.copy)
            rounds.append(operator.survey(rows, shared, own, asked))
        context = replace(context, survey=lambda: rounds)
    if signature.family == "span":
        coefficients = operator.function(shared, own, context)
        require_finite(coefficients)
        result = _summed(rows, coefficients)
    elif operator.plan is not None:
        result = _planned(operator, operator.plan(shared, own, context), rows, context)
    elif signature.family == "adapter":
        changes = [_low_rank(row) for row in rows]
        result = operator.function(changes, shared, own, context).dense().reshape(rows[0].shape)
    else:
        result = operator.function(rows, shared, own, context)
    assert all(torch.equal(one, old) for one, old in zip(rows, before, strict=True)), "not pure"
    return result


@dataclass(frozen=True)
class _Given(Operands):
    """Task vectors that are given, instead of weights from which the origin is taken off."""

    def whole(self, i: int) -> Tensor:
        vector = self.vectors[i]
        assert isinstance(vector, Tensor)
        return vector.clone()


def _summed(rows: Sequence[Tensor], coefficients: Any) -> Tensor:
    zeros = torch.zeros_like(rows[0])
    if np.ndim(coefficients) == 2:
        return _Given(zeros, rows).summed_by_rows(coefficients)
    plan = KernelPlan(numbers={"coefficient": [float(one) for one in coefficients]})
    return run(weighted_sum, plan, zeros, [("change", row) for row in rows], torch.float32)[0]


def _planned(
    operator: Operator, plan: KernelPlan, rows: Sequence[Tensor], context: MaskedContext
) -> Tensor:
    """By the engine; where masks are given, the kernel alone, which the engine gives its draws."""
    if not context.masks:
        zeros = torch.zeros_like(rows[0])
        kinds: list[tuple[Kind, Tensor | None]] = [("change", row) for row in rows]
        keys = context.keys_of_draws()
        return run(operator.function, plan, zeros, kinds, torch.float32, keys)[0]
    numbers: dict[str, list[Tensor]] = {name: list(many) for name, many in plan.elements.items()}
    for name, many in plan.numbers.items():
        numbers[name] = [
            torch.tensor(limit(one.keep)) if isinstance(one, Bernoulli) else torch.tensor(one)
            for one in many
            if not isinstance(one, Threshold)
        ]
    numbers["draws"] = [context.draws(i) for i in range(len(rows))]
    result: Tensor = operator.function(rows, numbers, *plan.switches)
    return result


def _low_rank(matrix: Tensor) -> LowRank:
    a = matrix.reshape(-1, matrix.shape[-1]).clone()
    return LowRank(a, torch.eye(a.shape[0]), 1.0)


def lam(value: float) -> dict[str, Any]:
    """The option `lambda`, a word that Python keeps for itself."""
    return {"lambda": value}


def weights(*values: float) -> list[dict[str, float]]:
    return [{"weight": value} for value in values]


def close(found: Tensor, expected: Any, tolerance: float = 1e-5) -> bool:
    wanted = torch.as_tensor(expected, dtype=found.dtype)
    assert found.shape == wanted.shape, (found, wanted)
    assert torch.allclose(found, wanted, atol=tolerance, rtol=1e-5), (found, wanted)
    return True
