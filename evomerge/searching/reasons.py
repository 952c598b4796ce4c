"""Why candidates failed, and how many did for each reason."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

from evomerge.study.candidate import Candidate

__all__ = ["Reasons"]


class Reasons:
    """Messages of failures with their numbers, in order from the first failure on."""

    def __init__(self, candidates: Iterable[Candidate] = ()) -> None:
        """`candidates`: in any order; those that have not failed say nothing."""
        self._ranks: dict[str, tuple[int, int]] = {}
        """Message -> how many failed so, negative; the number of the first."""
        self._order: list[tuple[int, int, str]] = []
        """The same, sorted."""
        for candidate in candidates:
            self.add(candidate)

    def add(self, candidate: Candidate) -> None:
        """Take one in that may have failed."""
        if candidate.failure is None:
            return
        message = candidate.failure.message
        rank = (-1, candidate.number)
        if before := self._ranks.get(message):
            del self._order[bisect_left(self._order, (*before, message))]
            rank = (before[0] - 1, min(before[1], candidate.number))
        self._ranks[message] = rank
        insort(self._order, (*rank, message))

    def most_frequent(self, limit: int) -> dict[str, int]:
        """At most `limit` messages -> how many failed so; the most frequent first, and of two the
        one that was the first candidate's."""
        return {message: -negative for negative, _, message in self._order[:limit]}
