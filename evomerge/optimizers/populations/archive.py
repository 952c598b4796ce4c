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

    With z_j = sum_i s_ij (1 where nobody scores) and the capacity c_j = max_i s_ij of an example,
    member i has the shared scores F_ij = c_j s_ij / z_j^alpha and the fitness f_i = sum_j F_ij:
    members divide what an example is worth. For scores of 0 and 1 the capacity is 1 wherever it
    matters; without `capacity` it is 1 for graded scores, too.

    - *Replacement* (equation 3). A new member takes an empty slot. Where none is left, all are
      compared with it among them, and the least fit goes; of equals the one in the first slot, the
      new one last.
    - *Attraction* (equation 4). To A, member i is as attractive as what it has and A lacks:
      m_i = sum_j max(0, F_ij - F_Aj). A is not attracted to itself.
    - *Fallback*, which neither paper nor code has: where nobody attracts A, its partner is drawn by
      fitness among the others; and where all fitnesses are 0, evenly.

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
        """By slot."""
        return tuple(self._members)

    @property
    def scores(self) -> Array:
        """(members, examples), as they were told, to the precision that is kept."""
        return self._rows[: len(self._members)].astype(np.float64)

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, slot: int) -> M:
        return self._members[slot]

    def add(self, member: M, scores: Array) -> int | None:
        """Let a new member compete; the slot that it takes, None if it is the least fit.

        `scores` (examples,): as many as every member has.
        """
        if not self._members:
            self._begin(len(scores))
        row = scores.astype(self._rows.dtype)
        if len(self._members) < self._size:
            slot = len(self._members)
            self._members.append(member)
        else:
            worth, _ = self._worth(row)
            # Without what all would lose by a shift: it changes no comparison.
            everyone = np.append(np.vecdot(self._rows, worth), np.vecdot(row, worth))
            slot = int(everyone.argmin())
            if slot == self._size:
                return None
            self._members[slot] = member
        self._put(slot, row)
        self.version += 1
        return slot

    def fitness(self) -> Array:
        """(members,): f, the shared fitness of each."""
        worth, floor, gross = self._standing()
        found: Array = np.maximum(gross - np.vecdot(floor, worth), 0.0).astype(np.float64)
        return found

    def attraction(self, slot: int) -> Array:
        """(members,): m, what each has that the member in `slot` lacks."""
        rows, own = self._rows[: len(self)], self._rows[slot]
        worth, _, gross = self._standing()
        # max(0, a - b) = a - min(a, b): exactly 0 where a row is nowhere above A's.
        found: Array = np.maximum(gross - self._common(rows, own, worth), 0.0).astype(np.float64)
        found[slot] = 0.0
        return found

    def draw(self, rng: np.random.Generator) -> int:
        """A slot, by fitness."""
        return _draw(self.fitness(), rng)

    def draw_partner(self, slot: int, rng: np.random.Generator) -> int:
        """Another slot, by attraction to `slot`; the same one where there is no other."""
        if len(self) == 1:
            return slot
        odds = self.attraction(slot)
        if not odds.any():
            odds = self.fitness()
            odds[slot] = 0.0
        if not odds.any():
            odds = np.ones(len(self))
            odds[slot] = 0.0
        return _draw(odds, rng)

    def _begin(self, examples: int) -> None:
        blocks, dtype = -(-self._size // BLOCK), self._rows.dtype
        self._rows = np.zeros((self._size, examples), dtype)
        self._sums = np.zeros((blocks, examples), dtype)
        self._maxima = np.zeros((blocks, examples), dtype)
        self._minima = np.zeros((blocks, examples), dtype)
        self._strip = np.empty((STRIP, examples), dtype)

    def _put(self, slot: int, scores: Rows) -> None:
        self._rows[slot] = scores
        self._graded[slot] = not np.isin(scores, (0.0, 1.0)).all()
        block = slot // BLOCK
        rows = self._rows[block * BLOCK : min((block + 1) * BLOCK, len(self))]
        rows.sum(axis=0, out=self._sums[block])
        rows.max(axis=0, out=self._maxima[block])
        rows.min(axis=0, out=self._minima[block])
        self._known = None

    def _standing(self) -> tuple[Rows, Rows, Rows]:
        """What examples are worth, what counts as 0 there, and sum_j w_j s_ij of each member."""
        if self._known is None:
            worth, floor = self._worth()
            self._known = worth, floor, np.vecdot(self._rows[: len(self)], worth)
        return self._known

    def _common(self, rows: Rows, own: Rows, worth: Rows) -> Rows:
        """(members,): sum_j w_j min(s_ij, s_Aj)."""
        if not self._graded.any():
            product: Rows = np.vecdot(rows, own * worth)  # of 0 and 1 the lesser
            return product
        found = np.empty(len(rows), rows.dtype)
        for first in range(0, len(rows), STRIP):
            some = rows[first : first + STRIP]
            lesser = np.minimum(some, own, out=self._strip[: len(some)])
            np.vecdot(lesser, worth, out=found[first : first + STRIP])
        return found

    def _worth(self, also: Rows | None = None) -> tuple[Rows, Rows]:
        """(examples,) each: c_j / z_j^alpha, and the score that counts as 0.

        Of the members and, if given, one more row.
        """
        blocks = -(-len(self) // BLOCK)
        total, count = self._sums[:blocks].sum(axis=0), len(self)
        most, least = self._maxima[:blocks].max(axis=0), self._minima[:blocks].min(axis=0)
        if also is not None:
            total, count = total + also, count + 1
            most, least = np.maximum(most, also), np.minimum(least, also)
        floor = least if self._shift else np.zeros_like(least)
        if self._shift:
            total -= count * floor
            most -= floor
        total[total <= 0] = 1.0
        if self._alpha != 1:
            total **= self._alpha
        return (most if self._capacity else 1.0) / total, floor


def _draw(odds: Array, rng: np.random.Generator) -> int:
    """An index with a probability in proportion to its odds; evenly where all are 0."""
    heights = odds.cumsum()
    if heights[-1] <= 0:
        return int(rng.integers(len(odds)))
    place = np.searchsorted(heights, rng.random() * heights[-1], side="right")
    # A product that was rounded up to the total would fall behind the last one that has odds.
    return int(min(place, np.flatnonzero(odds)[-1]))
