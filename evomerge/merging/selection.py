"""Exact selection: which elements are the k largest, and seeded random masks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Threshold", "generator"]


@dataclass(frozen=True)
class Threshold:
    """The cut between the k largest magnitudes and the rest; of equal ones the first are kept."""

    value: float
    ties_kept: int
    """How many elements of exactly this magnitude are among the k."""
    ties: int
    """How many there are."""

    @classmethod
    def of(cls, values: Tensor, density: float) -> Threshold:
        """k = floor(density * D + 1e-6), at least 1 (method cards, section 0.4, rule 3)."""
        magnitude = values.abs().flatten()
        k = max(1, int(density * magnitude.numel() + 1e-6))
        value = torch.kthvalue(magnitude, magnitude.numel() - k + 1).values
        above = int((magnitude > value).sum())
        return cls(float(value), k - above, int((magnitude == value).sum()))

    def mask(self, values: Tensor) -> Tensor:
        """Boolean mask of the k largest, in the shape of `values`."""
        magnitude = values.abs()
        if self.ties_kept == self.ties:
            return magnitude >= self.value
        equal = magnitude == self.value
        first = equal.flatten().cumsum(0).reshape(equal.shape) <= self.ties_kept
        return (magnitude > self.value) | (equal & first)


def generator(seed: int, tensor: str, of: str) -> torch.Generator:
    """A generator of its own for each (recipe seed, tensor name, input name).

    On the CPU whatever the device, so that a mask does not depend on where it is drawn.
    """
    key = hashlib.sha256(f"{seed}\0{tensor}\0{of}".encode()).digest()
    return torch.Generator("cpu").manual_seed(int.from_bytes(key[:8], "little") >> 1)
