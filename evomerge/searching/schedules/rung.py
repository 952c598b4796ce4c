"""One rung: candidates that were scored on the same examples, and which of them go on."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

__all__ = ["Rung"]


class Rung:
    """The best 1/eta of the candidates that came last go on.

    Who goes on and who ends is decided when a candidate comes, and stays so: a search that is
    resumed repeats the arrivals, and decides the same.
    """

    def __init__(self, eta: float, window: int) -> None:
        self._eta, self._window = eta, window
        self._scores: dict[int, float] = {}
        self.goes_on: set[int] = set()
        """Candidates that were among the best at some time."""
        self.ended: dict[int, str] = {}
        """Candidate -> why it does not."""

    def __contains__(self, candidate: int) -> bool:
        return candidate in self._scores

    def add(self, candidate: int, score: float) -> None:
        """One more has come; of equal ones the first is better."""
        self._scores[candidate] = score
        recent = list(islice(reversed(self._scores), self._window))[::-1]
        best = sorted(recent, key=lambda number: -self._scores[number])
        self.goes_on.update(set(best[: int(len(recent) / self._eta)]) - self.ended.keys())
        for number in self._scores.keys() - {*recent} - self.goes_on - self.ended.keys():
            self.end(number)

    def end(self, candidate: int) -> None:
        """It waits no longer."""
        recent = min(len(self._scores), self._window)
        self.ended[candidate] = f"not among the best 1/{self._eta:g} of {recent} there"

    def lowest(self, score: Callable[[int], float | None]) -> float | None:
        """The least that is known of those that went on."""
        known = [value for number in self.goes_on if (value := score(number)) is not None]
        return min(known, default=None)
