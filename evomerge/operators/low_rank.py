"""A low-rank change of one weight.

A weight W of shape (out, in) changes by scale * B A with A (r, in), B (out, r) and scale
alpha / r, or alpha / sqrt(r) for rsLoRA (Hu et al., ICLR 2022, section 4.1; Kalajdzievski 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import EllipsisType

import torch
from torch import Tensor

__all__ = ["LowRank", "Rows"]


Rows = slice | EllipsisType
"""A range of a tensor's first axis; `...` is all of it, also of a tensor without axes."""


@dataclass(frozen=True)
class LowRank:
    """The change scale * B A of one weight; factors in float32."""

    a: Tensor
    b: Tensor
    scale: float

    @classmethod
    def nothing(cls, height: int, width: int) -> LowRank:
        """No change of a weight (height, width): factors of rank 0."""
        return cls(torch.zeros(0, width), torch.zeros(height, 0), 1.0)

    @property
    def rank(self) -> int:
        """Rows of A, columns of B."""
        return self.a.shape[0]

    def add_to(self, weight: Tensor, coefficient: float) -> None:
        """weight += coefficient * scale * B A, in place, in float32."""
        weight.addmm_(self.b, self.a, alpha=coefficient * self.scale)

    def to(self, device: torch.device) -> LowRank:
        """The same on a device."""
        return LowRank(self.a.to(device), self.b.to(device), self.scale)

    def rows(self, chosen: Rows) -> LowRank:
        """The change of some rows of the weight."""
        return LowRank(self.a, self.b[chosen], self.scale)

    def dense(self) -> Tensor:
        """The change as a matrix (out, in), float32."""
        return (self.b @ self.a).mul_(self.scale)
