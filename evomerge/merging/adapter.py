"""LoRA adapters as low-rank changes of named weights.

A weight W of shape (out, in) changes by scale * B A with A (r, in), B (out, r) and scale
alpha / r, or alpha / sqrt(r) for rsLoRA (Hu et al., ICLR 2022, section 4.1; Kalajdzievski 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import EllipsisType

import torch
from safetensors import safe_open
from torch import Tensor

from evomerge.errors import SourceError
from evomerge.merging.finite import is_finite
from evomerge.models.adapter_headers import WEIGHTS, read_adapter_inventory

__all__ = ["LowRank", "Rows", "read_adapter"]


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


def read_adapter(folder: Path) -> dict[str, LowRank]:
    """Weight name -> its low-rank change.

    Raises:
        SourceError: not a LoRA adapter in safetensors, or a variant that changes more than B A.
    """
    changes = read_adapter_inventory(folder).changes
    found = {}
    with safe_open(folder / WEIGHTS, framework="pt", device="cpu") as file:
        for name, info in changes.items():
            a, b = (file.get_tensor(key).float() for key in (info.a, info.b))
            if not is_finite(a) or not is_finite(b):
                raise SourceError(
                    f"{folder / WEIGHTS}: the factors of {name.removesuffix('.weight')!r} are not"
                    " finite"
                )
            found[name] = LowRank(a, b, info.scale)
    return found
