"""What a merge combines in one tensor: an origin, and weights or task vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import torch
from torch import Tensor

from evomerge.errors import CandidateError
from evomerge.merging.fusion import Kind
from evomerge.merging.memory import empty
from evomerge.operators.base import Coefficients
from evomerge.operators.low_rank import LowRank, Rows
from evomerge.operators.selection import BLOCK

__all__ = ["Operands", "Vector", "Wholes", "require_finite"]

LARGEST = torch.finfo(torch.float32).max
Vector = Tensor | LowRank | None
"""Weights as they are stored; or a change of the origin: as its factors, or None where it is zero
by construction."""


@dataclass(frozen=True)
class Operands:
    """One tensor of the base, if the method has an origin, and of every operand."""

    origin: Tensor | None
    """Weights as they are stored."""
    vectors: Sequence[Vector]
    block: int = BLOCK
    """Elements of a change by factors that are made dense at a time."""

    @property
    def shape(self) -> torch.Size:
        """Shape of the tensor."""
        return self._like.shape

    @property
    def unchanged(self) -> bool:
        """Whether no operand differs from the origin, by construction."""
        return all(vector is None for vector in self.vectors)

    def base(self) -> Tensor:
        """The origin's weights, new, in float32."""
        assert self.origin is not None, "the method has an origin"
        return self.origin.to(torch.float32, copy=True)

    def whole(self, i: int) -> Tensor:
        """Weights or task vector `i`, new, in float32."""
        match self.vectors[i]:
            case None:
                return torch.zeros(self.shape, device=self._like.device)
            case LowRank() as change:
                return change.dense()
            case weights:
                vector = weights.to(torch.float32, copy=True)
                return vector if self.origin is None else vector.sub_(self.origin)

    def kinds(self) -> list[tuple[Kind, Tensor | None]]:
        """What a kernel reads: factors as the change that they make."""
        kinds: list[tuple[Kind, Tensor | None]] = []
        for vector in self.vectors:
            match vector:
                case None:
                    kinds.append(("nothing", None))
                case LowRank():
                    kinds.append(("change", vector.dense()))
                case weights:
                    kinds.append(("weights", weights))
        return kinds

    def low_rank(self) -> bool:
        """Whether some operand is a low-rank change."""
        return any(isinstance(vector, LowRank) for vector in self.vectors)

    def summed(self, coefficients: Sequence[float], dtype: torch.dtype) -> Tensor:
        """origin + sum_i c_i tau_i where some task vectors are factors: a few rows at a time, so
        that no change is ever made dense; rounded once."""
        assert self.origin is not None, "factors are changes of an origin"
        out = empty(self.shape, dtype, self.origin.device)
        for rows in self._rows():
            base = self.origin[rows].to(torch.float32, copy=True)
            changed = base.clone()
            for vector, coefficient in zip(self.vectors, coefficients, strict=True):
                match vector:
                    case None:
                        continue
                    case LowRank():
                        vector.rows(rows).add_to(changed, coefficient)
                    case weights:
                        changed += (weights[rows].float() - base) * coefficient
            out[rows] = changed
        return out

    def summed_by_rows(self, coefficients: np.ndarray[tuple[int, int]]) -> Tensor:
        """The same for coefficients (n, m), one an operand and row; float32.

        A tensor that is no matrix has a single coefficient, which fits any shape.
        """
        result = None if self.origin is None else self.base()
        for vector, rows in zip(Wholes(self), coefficients, strict=True):
            column = torch.as_tensor(rows, dtype=vector.dtype, device=vector.device)
            part = vector * (column[:, None] if vector.ndim == 2 else column.reshape(()))
            result = part if result is None else result.add_(part)
        assert result is not None, "a merge has operands"
        return result

    @property
    def _like(self) -> Tensor:
        if self.origin is not None:
            return self.origin
        return next(vector for vector in self.vectors if isinstance(vector, Tensor))

    def _rows(self) -> Iterator[Rows]:
        if len(self.shape) < 2:
            yield ...
            return
        height = max(1, self.block // max(self.shape.numel() // self.shape[0], 1))
        for first in range(0, self.shape[0], height):
            yield slice(first, first + height)


class Wholes(Sequence[Tensor]):
    """All vectors of some operands, each made when it is first asked for."""

    def __init__(self, operands: Operands) -> None:
        self._operands = operands
        self._made: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self._operands.vectors)

    @overload
    def __getitem__(self, i: int) -> Tensor: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Tensor]: ...
    def __getitem__(self, i: int | slice) -> Tensor | Sequence[Tensor]:
        if isinstance(i, slice):
            return [self[place] for place in range(len(self))[i]]
        place = range(len(self))[i]
        if place not in self._made:
            self._made[place] = self._operands.whole(place)
        return self._made[place]


def require_finite(coefficients: Coefficients) -> None:
    """A span method may divide by what a candidate makes 0.

    Raises:
        CandidateError: a coefficient is not finite in float32.
    """
    if isinstance(coefficients, np.ndarray):
        finite = bool(np.all(np.abs(coefficients) <= LARGEST))
    else:
        finite = all(abs(coefficient) <= LARGEST for coefficient in coefficients)
    if not finite:
        raise CandidateError(f"the coefficients {list(coefficients)} are not finite in float32")
