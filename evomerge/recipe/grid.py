"""The cells of a flat weight vector, and the Gram matrices of some models in each cell.

A chromosome is a share of a model's weights as one vector. It is cut into cells, a few thousand at
the most, and whoever splits it does so where a cell begins: so a few thousand small matrices hold
all that angles between combinations of the models can depend on, whatever the models' size.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["RESOLUTION", "Grams", "Grid"]

RESOLUTION = 4096
"""Cells of equal size that a chromosome is cut into, unless the space says otherwise."""


@dataclass(frozen=True)
class Grid:
    """Cells of a vector of `size` elements: cell i holds the elements edges[i] to edges[i + 1]."""

    edges: tuple[int, ...]
    """(cells + 1,) element positions, ascending, from 0 to the size."""
    blocks: tuple[int, ...] = (0,)
    """The edges where a layer begins, or what stands before or behind the layers."""

    def __post_init__(self) -> None:
        ascending = all(edge < following for edge, following in pairwise(self.edges))
        if len(self.edges) < 2 or self.edges[0] != 0 or not ascending:
            raise ValueError("a grid's edges ascend from 0 to the size, which is at least 1")
        if not set(self.blocks) <= set(self.edges[:-1]):
            raise ValueError("a grid's blocks begin at edges of cells")

    @classmethod
    def regular(
        cls, size: int, *, resolution: int = RESOLUTION, blocks: Iterable[int] = (0,)
    ) -> Grid:
        """`resolution` cells of equal size, cut once more where blocks begin.

        A vector of no more elements than that has a cell for each.
        """
        cells = min(size, resolution)
        starts = sorted({start for start in blocks if 0 <= start < size} | {0})
        even = {cell * size // cells for cell in range(cells)}
        return cls((*sorted(even | set(starts)), size), tuple(starts))

    @property
    def size(self) -> int:
        """Elements of the vector."""
        return self.edges[-1]

    def below(self, position: int) -> int:
        """The last edge at or below an element position: where a split drawn there falls."""
        return self.edges[bisect_right(self.edges, position) - 1]

    def indices(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """The edges' numbers.

        Raises:
            ValueError: a position is no edge.
        """
        cells = np.searchsorted(self._edges, positions)
        here = self._edges[np.minimum(cells, len(self._edges) - 1)] == positions
        if not here.all():
            wrong = int(positions[~here][0])
            raise ValueError(
                f"cells do not meet at {wrong}; the nearest below is {self._near(wrong)}"
            )
        return cells.astype(np.int64)

    def _near(self, position: int) -> int:
        return self.below(min(max(position, 0), self.size))

    @cached_property
    def _edges(self) -> NDArray[np.int64]:
        return np.array(self.edges, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Grams:
    """Each cell's Gram matrix of the models: their inner products over the cell's elements."""

    grid: Grid
    matrices: NDArray[np.float64]
    """(cells, models, models), each symmetric."""

    def __post_init__(self) -> None:
        cells, models = len(self.grid.edges) - 1, self.matrices.shape[-1]
        if self.matrices.shape != (cells, models, models):
            raise ValueError(
                f"{cells} cells need matrices of shape ({cells}, n, n), got"
                f" {list(self.matrices.shape)}"
            )

    @classmethod
    def of(cls, vectors: NDArray[np.float64], grid: Grid) -> Grams:
        """Gram matrices of vectors in memory, (models, size)."""
        edges = np.array(grid.edges)
        products = vectors[:, None, :] * vectors[None, :, :]
        sums = np.add.reduceat(products, edges[:-1], axis=-1)
        return cls(grid, np.ascontiguousarray(np.moveaxis(sums, -1, 0)))

    def between(self, ends: NDArray[np.int64]) -> NDArray[np.float64]:
        """(ranges, models, models) of the ranges that end at these positions, the first from 0.

        Each range is summed by itself: differences of running sums would lose a small range's
        digits behind a large one.
        """
        starts = self.grid.indices(np.concatenate([[0], ends[:-1]]))
        last = self.grid.indices(ends[-1:])[0]
        summed: NDArray[np.float64] = np.add.reduceat(self.matrices[:last], starts, axis=0)
        return summed
