"""Exact selection: which elements are the k largest, and seeded random masks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Threshold", "generator", "global_thresholds"]


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
        return cls.of_count(values, _count(density, values.numel()))

    @classmethod
    def of_count(cls, values: Tensor, k: int) -> Threshold:
        """The cut that keeps exactly k, at least 1, of the elements."""
        magnitude = values.abs().flatten()
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


def global_thresholds(
    tensors: Callable[[], Iterable[tuple[str, Tensor]]], density: float
) -> dict[str, Threshold]:
    """Tensor name -> the cut that keeps the k largest magnitudes of all tensors together.

    Exact for float32, in a few passes and without a copy: the bits of a magnitude, read as an
    integer, order as it does, so the k-th is found by counting their upper and lower halves.
    """
    counts = torch.zeros(1 << 16, dtype=torch.int64)
    for _, tensor in tensors():
        counts += torch.bincount(_bits(tensor) >> 16, minlength=1 << 16)
    k = _count(density, int(counts.sum()))
    upper, k = _find(counts, k)
    counts.zero_()
    for _, tensor in tensors():
        bits = _bits(tensor)
        counts += torch.bincount(bits[bits >> 16 == upper] & 0xFFFF, minlength=1 << 16)
    lower, left = _find(counts, k)
    cut = torch.tensor((upper << 16) | lower, dtype=torch.int32)
    value = float(cut.view(torch.float32))
    found = {}
    for name, tensor in tensors():
        ties = int((tensor.abs() == value).sum())
        kept = min(ties, left)
        left -= kept
        found[name] = Threshold(value, kept, ties)
    return found


def _count(density: float, size: int) -> int:
    return max(1, int(density * size + 1e-6))


def _bits(tensor: Tensor) -> Tensor:
    """Magnitudes as integers of the same order."""
    return tensor.abs().flatten().view(torch.int32)


def _find(counts: Tensor, k: int) -> tuple[int, int]:
    """The bin of the k-th largest, and how many of that bin are among the k."""
    above = counts.flip(0).cumsum(0)
    place = int(torch.searchsorted(above, k))
    before = int(above[place - 1]) if place else 0
    return len(counts) - 1 - place, k - before


def generator(seed: int, tensor: str, of: str) -> torch.Generator:
    """A generator of its own for each (recipe seed, tensor name, input name).

    On the CPU whatever the device, so that a mask does not depend on where it is drawn.
    """
    key = hashlib.sha256(f"{seed}\0{tensor}\0{of}".encode()).digest()
    return torch.Generator("cpu").manual_seed(int.from_bytes(key[:8], "little") >> 1)
