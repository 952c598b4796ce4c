"""Exact selection: which elements are the k largest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Magnitudes", "Threshold", "count", "global_thresholds"]

BLOCK = 1 << 18
"""Elements looked at at a time: what is computed in between stays in cache."""


@dataclass(frozen=True)
class Threshold:
    """The cut between the k largest magnitudes and the rest; of equal ones the first are kept."""

    value: float
    """The smallest magnitude that is kept."""
    end: int
    """Flat index from which on elements of exactly this magnitude are not kept."""

    @classmethod
    def of(cls, values: Tensor, density: float) -> Threshold:
        """k = floor(density * D + 1e-6), at least 1 (method cards, section 0.4, rule 3)."""
        return cls.of_count(values, count(density, values.numel()))

    @classmethod
    def of_count(cls, values: Tensor, k: int) -> Threshold:
        """The cut that keeps exactly k, at least 1, of the elements."""
        return Magnitudes.of(values).cut(k, values)

    @cached_property
    def below(self) -> float:
        """The next smaller float32: numbers above it are at least the value."""
        return float(np.nextafter(np.float32(self.value), np.float32(-1.0)))

    def mask(self, values: Tensor) -> Tensor:
        """Boolean mask of what is kept, in the shape of `values`, the whole tensor."""
        flat = values.flatten().abs()
        mask = flat > self.below
        mask[self.end :] = flat[self.end :] > self.value
        return mask.view(values.shape)


@dataclass(frozen=True, eq=False)
class Magnitudes:
    """How often each magnitude occurs in a tensor: enough for a cut at any density."""

    values: NDArray[np.float32]
    """(m,) distinct magnitudes, ascending."""
    up_to: NDArray[np.int64]
    """(m,) elements of at most this magnitude."""

    @classmethod
    def of(cls, values: Tensor) -> Magnitudes:
        """Count the magnitudes of a float32 tensor that is not empty."""
        ordered = _ascending(values)
        last = np.flatnonzero(ordered[1:] != ordered[:-1])
        last = np.append(last, len(ordered) - 1)
        return cls(ordered[last], last + 1)

    @property
    def compact(self) -> bool:
        """Whether this takes far less memory than the tensor.

        Differences of rounded numbers have few distinct magnitudes; those of float32 numbers nearly
        as many as elements.
        """
        return 8 * len(self.values) <= int(self.up_to[-1])

    @property
    def nbytes(self) -> int:
        """Memory of the two arrays, in bytes."""
        return self.values.nbytes + self.up_to.nbytes

    def cut(self, k: int, tensor: Tensor) -> Threshold:
        """The cut that keeps exactly k, at least 1, elements of the tensor that this is of."""
        size = int(self.up_to[-1])
        place = int(np.searchsorted(self.up_to, size - k, side="right"))
        value = float(self.values[place])
        kept = k - (size - int(self.up_to[place]))
        if kept == int(self.up_to[place]) - (int(self.up_to[place - 1]) if place else 0):
            return Threshold(value, size)
        return Threshold(value, _end(tensor, value, kept))


def global_thresholds(
    tensors: Callable[[], Iterable[tuple[str, Tensor]]], density: float
) -> dict[str, Threshold]:
    """Tensor name -> the cut that keeps the k largest magnitudes of all tensors together.

    Exact for float32, in a few passes and without a copy: the bits of a magnitude, read as an
    integer, order as it does, so the k-th is found by counting their upper and lower halves.
    """
    counts = torch.zeros(1 << 16, dtype=torch.int64)
    for bits in _blocks(tensors()):
        counts += torch.bincount(bits >> 16, minlength=1 << 16).cpu()
    k = count(density, int(counts.sum()))
    upper, k = _find(counts, k)
    counts.zero_()
    for bits in _blocks(tensors()):
        lower = bits[bits >> 16 == upper] & 0xFFFF
        counts += torch.bincount(lower, minlength=1 << 16).cpu()
    lowest, left = _find(counts, k)
    cut = torch.tensor((upper << 16) | lowest, dtype=torch.int32)
    value = float(cut.view(torch.float32))
    cuts = {}
    for name, tensor in tensors():
        equal = int((tensor.abs() == value).sum())
        kept = min(equal, left)
        left -= kept
        end = tensor.numel() if kept == equal else _end(tensor, value, kept)
        cuts[name] = Threshold(value, end)
    return cuts


def count(density: float, size: int) -> int:
    """floor(density * size), safe from rounding, and at least 1."""
    return max(1, int(density * size + 1e-6))


def _ascending(values: Tensor) -> NDArray[np.float32]:
    """The magnitudes, sorted; a new array."""
    flat = values.detach().reshape(-1)
    if flat.device.type != "cpu":
        return np.asarray(flat.abs().sort().values.cpu().numpy(), dtype=np.float32)
    # NumPy's, on the thread that calls: several tensors are sorted at a time.
    ordered: NDArray[np.float32] = np.abs(flat.numpy())
    ordered.sort()
    return ordered


def _end(tensor: Tensor, value: float, kept: int) -> int:
    """The flat index behind the first `kept` elements of this magnitude."""
    before = 0
    for block in tensor.flatten().split(BLOCK):
        equal = block.abs() == value
        here = int(equal.sum())
        if here > kept:
            return before + int(equal.nonzero()[kept])
        kept -= here
        before += len(block)
    return before


def _blocks(tensors: Iterable[tuple[str, Tensor]]) -> Iterator[Tensor]:
    """Magnitudes as integers of the same order, some at a time."""
    for _, tensor in tensors:
        for block in tensor.flatten().split(BLOCK):
            yield block.abs().view(torch.int32)


def _find(counts: Tensor, k: int) -> tuple[int, int]:
    """The bin of the k-th largest, and how many of that bin are among the k."""
    above = counts.flip(0).cumsum(0)
    place = int(torch.searchsorted(above, k))
    before = int(above[place - 1]) if place else 0
    return len(counts) - 1 - place, k - before
