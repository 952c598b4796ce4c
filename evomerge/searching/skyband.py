"""The few of many that may be among the best, kept as they come instead of ranking all again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evomerge.optimizers.base import Fitness

__all__ = ["Skyband"]


class Skyband:
    """The numbers that are, or may still become, among the `limit` best.

    The best are those that `evomerge.study.candidate.ranked` puts first: front by front, and on one
    front the lowest number. Whatever has `limit` others before it, which beat it or are equal and
    older, never comes so far: none of them goes away. The others are the k-skyband (Papadias et al.
    2005, "Progressive skyline computation in database systems"), and who beats one of them is one
    of them. Of two objectives drawn at random they are about `limit` times ln n of n.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._numbers = np.empty(0, dtype=np.int64)
        """Ascending."""
        self._fitness: NDArray[np.float64] = np.empty((0, 0))
        """(objectives, numbers)"""
        self._beaten = np.empty(0, dtype=np.int64)
        """By how many each is beaten: at least as good in every objective, and better in one."""

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, number: int, fitness: Fitness) -> bool:
        """Take one in; whether none before it is at least as good in every objective."""
        new = np.array(fitness)[:, None]
        known = self._fitness if len(self._numbers) else np.empty((len(fitness), 0))
        not_worse, not_better = (known >= new).all(axis=0), (known <= new).all(axis=0)
        beaten_by = int(np.count_nonzero(not_worse & ~not_better))
        older = np.count_nonzero(not_worse & not_better & (self._numbers < number))
        beaten = self._beaten + (not_better & ~not_worse)
        left = beaten < self._limit
        self._numbers, self._fitness = self._numbers[left], known[:, left]
        self._beaten = beaten[left]
        if beaten_by + older < self._limit:
            place = int(np.searchsorted(self._numbers, number))
            self._numbers = np.insert(self._numbers, place, number)
            self._fitness = np.insert(self._fitness, place, fitness, axis=1)
            self._beaten = np.insert(self._beaten, place, beaten_by)
        return not not_worse.any()

    def best(self) -> list[int]:
        """The best numbers, best first: at most `limit`."""
        chosen: list[int] = []
        beaten, left = self._beaten.copy(), np.ones(len(self._numbers), dtype=bool)
        while len(chosen) < self._limit and left.any():
            front = np.flatnonzero(left & (beaten == 0))[: self._limit - len(chosen)]
            chosen += self._numbers[front].tolist()
            left[front] = False
            for place in front:  # where the front is whole, what only it beats is the next one
                it = self._fitness[:, place, None]
                beaten -= (self._fitness <= it).all(axis=0) & (self._fitness < it).any(axis=0)
        return chosen
