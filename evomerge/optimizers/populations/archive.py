"""The archive of natural niches: members that compete for examples, and what attracts them.

Abrantes, Lange and Tang, "Competition and Attraction Improve Model Fusion" (2508.16204), equations
3 to 5, with the meaning of the authors' released code where the two differ.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Archive", "Array"]

Array = NDArray[np.float64]
Rows = NDArray[np.floating]
M = TypeVar("M")

BLOCK = 16
"""Rows whose sum and maximum are kept together: a new row costs one block, not all of them."""
STRIP = 8
"""Rows that are compared at once: few enough to stay in a core's cache."""


class Archive(Generic[M]):
    """At most `size` members with their raw scores s (members, examples), none of them negative.

    With z_j = sum_i s_ij (1 where all scores are 0) and the capacity c_j = max_i s_ij of an
    example, member i has the shared scores F_ij = c_j s_ij / z_j^alpha and the fitness
    f_i = sum_j F_ij: members divide the points of an example. For scores of 0 and 1 the
    capacity is 1 wherever it matters; without `capacity` it is 1 for graded scores, too.

    - *Replacement* (equation 3). A new member takes an empty row. Where none is left, all are
      compared, the new one included, and the least fit is removed; of equal ones that in the first
      row, the new one last.
    - *Attraction* (equation 4). To A, member i is as attractive as what it has and A lacks:
      m_i = sum_j max(0, F_ij - F_Aj). A is not attracted to itself.
    - *Fallback*, which neither paper nor code has: where no member attracts A, its partner is
      drawn by fitness among the others; and where all fitnesses are 0, evenly.

    With `shift`, which the paper uses for diffusion models, scores count from the worst that a
    member has on each example; only then may they be negative.

    Shared scores change with every member that comes or goes, so only raw ones are kept. What is
    computed depends on the rows as they stand, not on how they came about.
    """

    def __init__(
        self, size: int, *, alpha: float = 1.0, capacity: bool = True, shift: bool = False
    ) -> None:
        self._size, self._alpha, self._capacity, self._shift = size, alpha, capacity, shift
        self._members: list[M] = []
        dtype = np.dtype(np.float64 if shift else np.float32)
        self._rows: Rows = np.empty((0, 0), dtype=dtype)
        self._sums = self._maxima = self._minima = self._rows
        """(blocks, examples): of the rows of a block."""
        self._strip = self._rows
        self._graded = np.zeros(size, dtype=bool)
        """(size,): which rows have scores other than 0 and 1."""
        self._known: tuple[Rows, Rows, Rows] | None = None
        self.version = 0
        """How often its members have changed."""

    @property
    def members(self) -> tuple[M, ...]:
        """The members, row by row."""
        return tuple(self._members)

    @property
    def scores(self) -> Array:
        """(members, examples), as they were told, to the precision that is kept."""
        return self._rows[: len(self._members)].astype(np.float64)

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, row: int) -> M:
        return self._members[row]

    def add(self, member: M, scores: Array) -> int | None:
        """Let a new member compete; the row that it takes, None if it is the least fit.

        `scores` (examples,): as many as every member has.
        """
        if not self._members:
            self._begin(len(scores))
        new = scores.astype(self._rows.dtype)
        if len(self._members) < self._size:
            row = len(self._members)
            self._members.append(member)
        else:
            weights, _ = self._example_weights(new)
            # Without what all would lose by a shift: it changes no comparison.
            everyone = np.append(np.vecdot(self._rows, weights), np.vecdot(new, weights))
            row = int(everyone.argmin())
            if row == self._size:
                return None
            self._members[row] = member
        self._put(row, new)
        self.version += 1
        return row

    def fitness(self) -> Array:
        """(members,): f, the shared fitness of each."""
        weights, floor, gross = self._shared_terms()
        shared: Array = np.maximum(gross - np.vecdot(floor, weights), 0.0).astype(np.float64)
        return shared

    def attraction(self, row: int) -> Array:
        """(members,): m, what each has that the member in `row` lacks."""
        rows, own = self._rows[: len(self)], self._rows[row]
        weights, _, gross = self._shared_terms()
        # max(0, a - b) = a - min(a, b): exactly 0 where a row is nowhere above A's.
        gains: Array = np.maximum(gross - self._common(rows, own, weights), 0.0).astype(np.float64)
        gains[row] = 0.0
        return gains

    def draw(self, rng: np.random.Generator) -> int:
        """A row, drawn by fitness."""
        return _draw(self.fitness(), rng)

    def draw_partner(self, row: int, rng: np.random.Generator) -> int:
        """Another row, drawn by attraction to `row`; the same one where there is no other."""
        if len(self) == 1:
            return row
        odds = self.attraction(row)
        if not odds.any():
            odds = self.fitness()
            odds[row] = 0.0
        if not odds.any():
            odds = np.ones(len(self))
            odds[row] = 0.0
        return _draw(odds, rng)

    def _begin(self, examples: int) -> None:
        blocks, dtype = -(-self._size // BLOCK), self._rows.dtype
        self._rows = np.zeros((self._size, examples), dtype)
        self._sums = np.zeros((blocks, examples), dtype)
        self._maxima = np.zeros((blocks, examples), dtype)
        self._minima = np.zeros((blocks, examples), dtype)
        self._strip = np.empty((STRIP, examples), dtype)

    def _put(self, row: int, scores: Rows) -> None:
        self._rows[row] = scores
        self._graded[row] = not np.isin(scores, (0.0, 1.0)).all()
        block = row // BLOCK
        rows = self._rows[block * BLOCK : min((block + 1) * BLOCK, len(self))]
        rows.sum(axis=0, out=self._sums[block])
        rows.max(axis=0, out=self._maxima[block])
        rows.min(axis=0, out=self._minima[block])
        self._known = None

    def _shared_terms(self) -> tuple[Rows, Rows, Rows]:
        """Examples' weights w_j, scores that count as 0, and sum_j w_j s_ij of each member."""
        if self._known is None:
            weights, floor = self._example_weights()
            self._known = weights, floor, np.vecdot(self._rows[: len(self)], weights)
        return self._known

    def _common(self, rows: Rows, own: Rows, weights: Rows) -> Rows:
        """(members,): sum_j w_j min(s_ij, s_Aj)."""
        if not self._graded.any():
            product: Rows = np.vecdot(rows, own * weights)  # of 0 and 1 the lesser
            return product
        common = np.empty(len(rows), rows.dtype)
        for first in range(0, len(rows), STRIP):
            some = rows[first : first + STRIP]
            lesser = np.minimum(some, own, out=self._strip[: len(some)])
            np.vecdot(lesser, weights, out=common[first : first + STRIP])
        return common

    def _example_weights(self, also: Rows | None = None) -> tuple[Rows, Rows]:
        """(examples,) each: c_j / z_j^alpha, and the score that counts as 0.

        Of the members and, if given, one more row.
        """
        blocks = -(-len(self) // BLOCK)
        total, count = self._sums[:blocks].sum(axis=0), len(self)
        highest, lowest = self._maxima[:blocks].max(axis=0), self._minima[:blocks].min(axis=0)
        if also is not None:
            total, count = total + also, count + 1
            highest, lowest = np.maximum(highest, also), np.minimum(lowest, also)
        floor = lowest if self._shift else np.zeros_like(lowest)
        if self._shift:
            total -= count * floor
            highest -= floor
        total[total <= 0] = 1.0
        if self._alpha != 1:
            total **= self._alpha
        return (highest if self._capacity else 1.0) / total, floor


def _draw(odds: Array, rng: np.random.Generator) -> int:
    """An index with a probability in proportion to its odds; evenly where all are 0."""
    heights = odds.cumsum()
    if heights[-1] <= 0:
        return int(rng.integers(len(odds)))
    place = np.searchsorted(heights, rng.random() * heights[-1], side="right")
    # A product that was rounded up to the total would fall behind the last one that has odds.
    return int(min(place, np.flatnonzero(odds)[-1]))
