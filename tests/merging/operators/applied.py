"""An operator applied to one tensor of a model, with the engine's own look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from evomerge.merging.bank import Bank
from evomerge.merging.look import TensorLook
from evomerge.merging.operators import operators
from evomerge.merging.vectors import combine

UP = "model.layers.0.mlp.up_proj.weight"
F5 = [[4, -1, 2, 0, -3], [2, -3, 1, 5, 1], [1, 2, -6, -4, 0]]
"""The task vectors of the method cards' examples; their base is five ones."""

Rows = Sequence[Any] | Tensor


@dataclass(frozen=True, kw_only=True)
class MaskedLook(TensorLook):
    """The engine's look, but with given masks in place of random ones."""

    masks: Mapping[int, Sequence[int]]

    def keep_random(self, i: int, keep: float | Tensor) -> Tensor:
        if i not in self.masks:
            return super().keep_random(i, keep)
        return torch.tensor(self.masks[i], dtype=torch.bool).reshape(self.part[i].shape)


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
    look = MaskedLook(
        bank=Bank([]),
        tensor=tensor,
        names=names[:count],
        layers=layers,
        seed=seed,
        size=rows[0].numel(),
        whole=lambda i: rows[i],
        part=rows,
        keys=[None] * len(rows),
        origin=origin,
        everywhere=lambda i: iter([(tensor, rows[i])]),
        survey=list,
        statistics=lambda i: Given(statistics[i] if statistics else None),
        masks=masks or {},
    )
    rounds: list[Mapping[str, float]] = []
    if operator.survey:
        for _ in range(operator.rounds(count)):
            asked = replace(look, survey=rounds.copy)
            rounds.append(operator.survey(rows, shared, own, asked))
        look = replace(look, survey=lambda: rounds)
    if signature.family == "span":
        coefficients = operator.function(shared, own, look)
        result = combine(torch.zeros_like(rows[0]), [row.clone() for row in rows], coefficients)
    else:
        result = operator.function(rows, shared, own, look)
    assert all(torch.equal(one, old) for one, old in zip(rows, before, strict=True)), "not pure"
    return result


def weights(*values: float) -> list[dict[str, float]]:
    return [{"weight": value} for value in values]


def close(found: Tensor, expected: Any, tolerance: float = 1e-5) -> bool:
    wanted = torch.as_tensor(expected, dtype=found.dtype)
    assert found.shape == wanted.shape, (found, wanted)
    assert torch.allclose(found, wanted, atol=tolerance, rtol=1e-5), (found, wanted)
    return True
