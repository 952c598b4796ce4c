"""What an adapter makes of a weight where that is no product of two matrices: step after step.

Each step changes a weight in place, in float32.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from evomerge.operators.low_rank import LowRank

__all__ = [
    "Change",
    "Copy",
    "Experts",
    "Matrix",
    "Norms",
    "Rows",
    "Step",
    "Steps",
    "Sum",
    "add_to",
    "parts",
]


@dataclass(frozen=True)
class Copy:
    """The weight is another one, which was trained whole."""

    weight: Tensor

    def change(self, weight: Tensor) -> None:
        """Replace it."""
        weight.copy_(self.weight)


@dataclass(frozen=True)
class Sum:
    """A vector times a factor is added."""

    vector: Tensor
    scale: float

    def change(self, weight: Tensor) -> None:
        """Add it."""
        weight.add_(self.vector, alpha=self.scale)


@dataclass(frozen=True)
class Rows:
    """Some rows are others."""

    numbers: Tensor
    """(rows,) int64"""
    rows: Tensor
    """(rows, width)"""

    def change(self, weight: Tensor) -> None:
        """Replace them."""
        weight.index_copy_(0, self.numbers, self.rows)


@dataclass(frozen=True)
class Matrix:
    """A low-rank change of the weight as a matrix (out, all the rest): a convolution's kernel."""

    factors: LowRank

    def change(self, weight: Tensor) -> None:
        """Add it."""
        self.factors.add_to(weight.view(len(weight), -1), 1.0)


@dataclass(frozen=True)
class Experts:
    """A low-rank change of each matrix of a weight (experts, height, width)."""

    left: Tensor
    """(experts, height, rank)"""
    right: Tensor
    """(experts, rank, width)"""
    scale: float

    def change(self, weight: Tensor) -> None:
        """Add it."""
        weight.baddbmm_(self.left, self.right, alpha=self.scale)


@dataclass(frozen=True)
class Norms:
    """The rows get the norms m (DoRA; Liu et al., ICML 2024, eq. 5), after a change by factors:
    W' = m (W + s B A) / ||W + s B A||.
    """

    magnitude: Tensor
    """(out,) m, float32."""
    transposed: bool
    """Whether the weight lies as (in, out)."""

    def change(self, weight: Tensor) -> None:
        """Scale them."""
        rows = weight.T if self.transposed else weight
        rows *= (self.magnitude / torch.linalg.norm(rows, dim=1))[:, None]


Step = Copy | Sum | Rows | Matrix | Experts | Norms


@dataclass(frozen=True)
class Steps:
    """Steps in their order."""

    steps: tuple[Step, ...]

    def to(self, device: torch.device) -> Steps:
        """The same on a device."""
        return Steps(tuple(_moved(step, device) for step in self.steps))


Change = LowRank | Steps
"""What an adapter makes of one weight."""


def add_to(change: Change, weight: Tensor) -> None:
    """Change a weight in place, in float32."""
    match change:
        case LowRank():
            change.add_to(weight, 1.0)
        case Steps():
            for step in change.steps:
                step.change(weight)


def parts(change: Change) -> list[Tensor]:
    """The tensors that a change is made of."""
    if isinstance(change, LowRank):
        return [change.a, change.b, torch.tensor(change.scale)]
    values = [getattr(step, part.name) for step in change.steps for part in fields(step)]
    return [
        tensor
        for value in values
        for tensor in (parts(value) if isinstance(value, LowRank) else [torch.as_tensor(value)])
    ]


def _moved(step: Step, device: torch.device) -> Step:
    values = {part.name: getattr(step, part.name) for part in fields(step)}
    moved: dict[str, Any] = {
        name: value.to(device)
        for name, value in values.items()
        if isinstance(value, Tensor | LowRank)
    }
    return replace(step, **moved)
