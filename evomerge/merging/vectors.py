"""Weights and task vectors of one tensor, dense or low-rank, and their combination."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from evomerge.errors import CandidateError
from evomerge.merging.adapter import LowRank
from evomerge.merging.operators.base import Coefficients

__all__ = ["Vector", "combine", "dense"]

LARGEST = torch.finfo(torch.float32).max
Vector = Tensor | LowRank | None
"""Weights or a task vector; a low-rank one as its factors, None where it is zero anyway."""


def dense(vectors: Sequence[Vector], like: Tensor | None) -> list[Tensor]:
    """The vectors as tensors of one shape, that of `like` or of the first that is dense."""
    shaped = like if like is not None else next(v for v in vectors if isinstance(v, Tensor))
    return [
        torch.zeros_like(shaped) if v is None else v.dense() if isinstance(v, LowRank) else v
        for v in vectors
    ]


def combine(result: Tensor | None, vectors: Sequence[Vector], coefficients: Coefficients) -> Tensor:
    """origin + sum_i c_i v_i, in place of the origin or of the first vector.

    Args:
        coefficients: one a vector, or an array (n, m) with one for each of its m rows.

    Raises:
        CandidateError: a coefficient is not finite in float32.
    """
    if not np.all(np.abs(np.asarray(coefficients)) <= LARGEST):
        raise CandidateError(f"the coefficients {list(coefficients)} are not finite in float32")
    if isinstance(coefficients, np.ndarray) and coefficients.ndim == 2:
        return _combine_rows(result, vectors, coefficients)
    for vector, coefficient in zip(vectors, coefficients, strict=True):
        match vector:
            case None:
                continue
            case LowRank():
                vector.add_to(_required(result), float(coefficient))
            case Tensor():
                result = (
                    vector.mul_(float(coefficient))
                    if result is None
                    else result.add_(vector, alpha=float(coefficient))
                )
    return _required(result)


def _combine_rows(
    result: Tensor | None, vectors: Sequence[Vector], coefficients: np.ndarray[tuple[int, int]]
) -> Tensor:
    for vector, rows in zip(dense(vectors, result), coefficients, strict=True):
        # A tensor that is no matrix has a single coefficient, which fits any shape.
        column = torch.as_tensor(rows, dtype=vector.dtype, device=vector.device)
        part = vector * (column[:, None] if vector.ndim == 2 else column.reshape(()))
        result = part if result is None else result.add_(part)
    return _required(result)


def _required(tensor: Tensor | None) -> Tensor:
    if tensor is None:
        raise CandidateError("nothing to combine")
    return tensor
