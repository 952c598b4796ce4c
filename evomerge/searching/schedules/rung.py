"""One rung: candidates that were scored on the same examples, and which of them go on."""

from __future__ import annotations

from collections import deque

__all__ = ["Rung"]


class Rung:
    """The best 1/eta of the candidates that came last go on.

    Who goes on and who ends is decided when a candidate comes, and stays so: a search that is
    resumed repeats the arrivals, and decides the same.
    """

    def __init__(self, eta: float, window: int) -> None:
        self._eta, self._window = eta, window
        self._scores: dict[int, tuple[float, float]] = {}
        self._recent: deque[int] = deque(maxlen=window)
        """Those that came last."""
        self.goes_on: set[int] = set()
        """Candidates that were among the best at some time."""
        self.ended: dict[int, str] = {}
        """Candidate -> why it does not."""
        self.lowest: float | None = None
        """The least that is known of those that went on."""

    def __contains__(self, candidate: int) -> bool:
        return candidate in self._scores

    def add(self, candidate: int, score: float, missed: float = 0.0) -> None:
        """One more has come; of equal ones the first is better.

        `missed`: by how much it breaks constraints: who breaks none is better.
        """
        left = self._recent[0] if len(self._recent) == self._window else None
        self._scores[candidate] = -missed, score
        self._recent.append(candidate)
        best = sorted(self._recent, key=self._scores.__getitem__, reverse=True)
        best = best[: int(len(best) / self._eta)]
        self.goes_on.update(number for number in best if number not in self.ended)
        if left is not None and left not in self.goes_on and left not in self.ended:
            self.end(left)

    def end(self, candidate: int) -> None:
        """It waits no longer."""
        recent = len(self._recent)
        self.ended[candidate] = f"not among the best 1/{self._eta:g} of {recent} there"

    def learn(self, candidate: int, fitness: float) -> None:
        """Take in what one came to in the end; of one that did not go on from here it is left."""
        if candidate in self.goes_on:
            self.lowest = fitness if self.lowest is None else min(self.lowest, fitness)
