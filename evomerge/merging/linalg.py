"""Singular values without their noise."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["NOISE", "singular_triples"]

NOISE = 1e-6
"""Of the largest singular value: what is smaller is rounding in float32, its vectors arbitrary."""


def singular_triples(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(U, S, V^T) of shape (m, k), (k,), (k, n): the triples that are not noise; k may be 0."""
    u, s, vt = torch.linalg.svd(matrix, full_matrices=False)
    kept = int((s > NOISE * s[0]).sum()) if s.numel() else 0
    return u[:, :kept], s[:kept], vt[:kept]
