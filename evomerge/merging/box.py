"""A box of a tensor: what one of several processes that share a model holds of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

__all__ = ["Box", "Runs"]

_PLACES = 1 << 31
"""Distances within a tensor are counted in int32 where elements are drawn for."""


@dataclass(frozen=True)
class Runs:
    """A box in the tensor as it lies flat: runs of `width` places, `stride` from each to the next.

    A box keeps the order of its elements, so what lies before a place of the whole tensor lies
    before a place of the box.
    """

    first: int
    """Flat index of the box's first element in the whole tensor."""
    width: int
    stride: int
    count: int

    def before(self, place: int) -> int:
        """How many elements of the box lie before a flat index of the whole tensor."""
        run, rest = divmod(place - self.first, self.stride)
        if run < 0:
            return 0
        if run >= self.count:
            return self.count * self.width
        return run * self.width + min(rest, self.width)

    def start_of(self, index: int) -> int:
        """Flat index in the whole tensor of the beginning of the run that element `index` is in."""
        return self.first + index // self.width * self.stride


@dataclass(frozen=True)
class Box:
    """A range of indices along each axis of a tensor."""

    shape: tuple[int, ...]
    """Of the whole tensor."""
    ranges: tuple[tuple[int, int], ...]
    """First index, and the one behind the last, of each axis."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out."""
        return all(r == (0, size) for r, size in zip(self.ranges, self.shape, strict=True))

    def of(self, whole: Tensor) -> Tensor:
        """The part of a tensor that is in the box, contiguous; a view where it lies so."""
        part = whole
        for axis, (start, stop) in enumerate(self.ranges):
            if (start, stop) != (0, self.shape[axis]):
                part = part.narrow(axis, start, stop - start)
        return part.contiguous()

    @cached_property
    def runs(self) -> Runs | None:
        """How it lies in the flat tensor; None where that takes more than runs at one distance."""
        cut = [a for a, r in enumerate(self.ranges) if r != (0, self.shape[a])]
        if not cut:
            size = math.prod(self.shape)
            return Runs(0, size, size, 1)
        inner = cut[-1]
        of_one = math.prod(self.shape[inner + 1 :])
        start, stop = self.ranges[inner]
        stride, width = self.shape[inner] * of_one, (stop - start) * of_one
        row, count = 0, 1
        for axis, (low, high) in enumerate(self.ranges[:inner]):
            if count > 1 and (low, high) != (0, self.shape[axis]):
                return None
            row = row * self.shape[axis] + low
            count *= high - low
        runs = Runs(row * stride + start * of_one, width, stride, count)
        return runs if runs.count == 1 or stride < _PLACES else None
