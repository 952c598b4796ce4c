"""Exact selection: which elements are the k largest, and seeded random masks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

__all__ = ["Threshold", "generator", "global_thresholds"]


@dataclass(frozen=True, eq=False)
class Threshold:
    """The cut between the k largest magnitudes and the rest; of equal ones the first are kept."""

    value: float
    dropped: Tensor
    """Flat indices, ascending, of the elements of exactly this magnitude that are not kept."""

    @classmethod
    def of(cls, values: Tensor, density: float) -> Threshold:
        """k = floor(density * D + 1e-6), at least 1 (method cards, section 0.4, rule 3)."""
        return cls.of_count(values, _count(density, values.numel()))

    @classmethod
    def of_count(cls, values: Tensor, k: int) -> Threshold:
        """The cut that keeps exactly k, at least 1, of the elements."""
        bits = _bits(values)
        upper, inside = _find(_upper_counts(bits), k)
        near = bits[bits >> 16 == upper]
        cut = torch.kthvalue(near, near.numel() - inside + 1).values
        equal = (bits == cut).nonzero().flatten()
        kept = inside - int((near > cut).sum())
        return cls(float(cut.view(torch.float32)), equal[kept:].clone())

    def mask(self, values: Tensor, start: int = 0) -> Tensor:
        """Boolean mask of the k largest, in the shape of `values`.

        `start`: the flat index of the first of `values`, where they are rows of the tensor.
        """
        mask = values.abs() >= self.value
        if len(self.dropped):
            mask.view(-1)[self._dropped_in(values, start)] = False
        return mask

    def trim(self, values: Tensor, start: int = 0) -> Tensor:
        """The k largest, and zeros; as `mask`, in one pass without a mask."""
        kept = torch.nn.functional.hardshrink(values, self._below)
        if len(self.dropped):
            kept.view(-1)[self._dropped_in(values, start)] = 0.0
        return kept

    @cached_property
    def _below(self) -> float:
        """The largest float32 that is cut off; hardshrink cuts off its limit, too."""
        return float(np.nextafter(np.float32(self.value), np.float32(-1.0)))

    def _dropped_in(self, values: Tensor, start: int) -> Tensor:
        ends = torch.tensor([start, start + values.numel()], device=self.dropped.device)
        first, last = torch.searchsorted(self.dropped, ends).tolist()
        return self.dropped[first:last] - start


def global_thresholds(
    tensors: Callable[[], Iterable[tuple[str, Tensor]]], density: float
) -> dict[str, Threshold]:
    """Tensor name -> the cut that keeps the k largest magnitudes of all tensors together.

    Exact for float32, in a few passes and without a copy: the bits of a magnitude, read as an
    integer, order as it does, so the k-th is found by counting their upper and lower halves.
    """
    counts = torch.zeros(1 << 16, dtype=torch.int64)
    for _, tensor in tensors():
        counts += _upper_counts(_bits(tensor))
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
        equal = (tensor.abs().flatten() == value).nonzero().flatten()
        kept = min(len(equal), left)
        left -= kept
        found[name] = Threshold(value, equal[kept:].clone())
    return found


def _count(density: float, size: int) -> int:
    return max(1, int(density * size + 1e-6))


def _bits(tensor: Tensor) -> Tensor:
    """Magnitudes as integers of the same order."""
    return tensor.abs().flatten().view(torch.int32)


def _upper_counts(bits: Tensor) -> Tensor:
    """How many share each upper half."""
    return torch.bincount(bits >> 16, minlength=1 << 16)


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
