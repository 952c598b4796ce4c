"""What the candidates of a search come to: counted one by one as they are asked and as they end, so
that the hundred-thousandth costs no more than the tenth."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from operator import ge

from evomerge.optimizers.base import Fitness
from evomerge.searching.curve import Curve
from evomerge.searching.reasons import Reasons
from evomerge.searching.skyband import Skyband
from evomerge.searching.spending import Spending
from evomerge.study.candidate import Candidate

__all__ = ["SPARED", "Tally", "counted", "spared"]

SPARED = 100
"""So many candidates that failed because of their surroundings cost a budget nothing; those after
them count, so that every search ends."""

LEADERS = 5
"""So many of the best candidates are told with the progress."""

REASONS = 100
"""So many reasons of failures are told with it."""


def counted(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that count in a budget: without warm starts that failed and were tried again, and
    without finalists, which were asked before."""
    latest = {
        candidate.label: candidate.number
        for candidate in candidates
        if candidate.proposed_by == "landmark"
    }
    return [
        candidate
        for candidate in candidates
        if candidate.proposed_by == "optimizer" or latest.get(candidate.label) == candidate.number
    ]


def spared(candidates: Iterable[Candidate]) -> set[int]:
    """Numbers of those that a budget does not count: their worker, its machine or the cluster
    failed, and others are asked in their place, within a sitting and after a resume."""
    return {candidate.number for candidate in islice(filter(_is_lost, candidates), SPARED)}


class Tally:
    """How many candidates there are, of which kind, and which are the best."""

    def __init__(
        self, candidates: Sequence[Candidate] = (), *, target: Sequence[float] | None = None
    ) -> None:
        """
        Args:
            candidates: those on record, by number, but for what is about to be tried again.
            target: a fitness to be reached.
        """
        self._target = target
        self._asked: dict[int, Candidate] = {}
        """By number, as each was when it was asked or has ended."""
        self._lost: list[Candidate] = []
        """Those that are `spared`, by number."""
        self._waited = 0
        """Since the last improvement, whether lost or not."""
        self._states: Counter[str] = Counter()
        self._reasons = Reasons()
        self._spending = Spending()
        self._skyband = Skyband(LEADERS)
        self._leaders: tuple[Candidate, ...] | None = ()
        self._curve: list[float] = []
        self.told = 0
        """How many have ended."""
        self.evaluated = 0
        """Of those, the ones whose recipe had not been scored before."""
        self.reached: Candidate | None = None
        """The first by number that has at least the target, in every objective."""
        self.improvement: Candidate | None = None
        """The last to end of which none before was at least as good in every objective."""
        self.bests: tuple[Candidate, ...] = ()
        """For each objective the candidate that is best in it; the older one of two equal ones."""
        known = counted(candidates)
        for candidate in known:
            self.ask(candidate)
        ended = [(c.told, c) for c in known if c.told is not None]
        for _, candidate in sorted(ended, key=lambda pair: pair[0]):
            self.end(candidate)
        for candidate in candidates:
            if candidate.proposed_by == "finalist" and candidate.told is not None:
                self.end_again(candidate)

    def ask(self, candidate: Candidate) -> None:
        """Count one that was asked after all others; no warm start that is there already."""
        self._asked[candidate.number] = candidate

    def end(self, candidate: Candidate) -> None:
        """Count the end of one that was asked, which was told after all others."""
        self._asked[candidate.number] = candidate
        self.told += 1
        self.evaluated += candidate.attempts > 0
        self._states[candidate.state] += 1
        self._reasons.add(candidate)
        self._spending.add(candidate)
        if _is_lost(candidate):
            insort(self._lost, candidate, key=lambda lost: lost.number)
            del self._lost[SPARED:]
        scored = None if candidate.missed else candidate.fitness
        if scored is not None and self._score(candidate, scored):
            self.improvement, self._waited = candidate, 0
        else:
            self._waited += _is_waited_for(candidate)
        if self.bests:
            self._curve.append(_value(self.bests[0], 0))

    def end_again(self, candidate: Candidate) -> None:
        """Count what a finalist took: as a candidate it counts already."""
        self._spending.add(candidate)

    @property
    def counting(self) -> int:
        """How many a budget of candidates counts."""
        return len(self._asked) - len(self._lost)

    @property
    def done(self) -> int:
        """Of those, the ones that have ended."""
        return self.told - len(self._lost)

    @property
    def evaluations(self) -> int:
        """How many a budget of evaluations counts; what is under way may come to be one."""
        under_way = len(self._asked) - self.told
        return under_way + self.evaluated - sum(lost.attempts > 0 for lost in self._lost)

    @property
    def waited(self) -> int:
        """How many candidates of the optimizer were evaluated since the last improvement, but for
        those that a budget does not count."""
        since = -1 if self.improvement is None else self.improvement.told or 0
        lost = (candidate for candidate in self._lost if (candidate.told or 0) > since)
        return self._waited - sum(map(_is_waited_for, lost))

    def is_stale(self, last: int) -> bool:
        """Whether so many of those that count are there, and the last ones had all been scored
        before."""
        lost = {candidate.number for candidate in self._lost}
        backwards = (c for c in reversed(self._asked.values()) if c.number not in lost)
        return self.counting >= last and not any(map(_is_evaluated, islice(backwards, last)))

    @property
    def failed(self) -> int:
        """How many failed."""
        return self._states["failed"]

    @property
    def stopped(self) -> int:
        """How many the schedule gave up."""
        return self._states["stopped"]

    @property
    def spent(self) -> str:
        """How many examples were scored, as `Spending` says it."""
        return self._spending.said

    @property
    def failures(self) -> Mapping[str, int]:
        """Why candidates failed -> how many, the most frequent reason first: at most a hundred."""
        return self._reasons.most_frequent(REASONS)

    @property
    def leaders(self) -> tuple[Candidate, ...]:
        """The best so far, best first: at most five."""
        if self._leaders is None:
            self._leaders = tuple(self._asked[number] for number in self._skyband.best())
        return self._leaders

    @property
    def curve(self) -> Curve:
        """The best of the first objective, after each that has ended from the first scored on."""
        return Curve(self._curve)

    def _score(self, candidate: Candidate, fitness: Fitness) -> bool:
        """Compare one with those before it: whether none is at least as good in everything."""
        if self._target and all(map(ge, fitness, self._target)):
            self.reached = min(self.reached or candidate, candidate, key=lambda c: c.number)
        self.bests = tuple(
            max(best, candidate, key=lambda c: (_value(c, place), -c.number))
            for place, best in enumerate(self.bests or [candidate] * len(fitness))
        )
        self._leaders = None
        return self._skyband.add(candidate.number, fitness)


def _value(candidate: Candidate, place: int) -> float:
    """One number of its fitness."""
    return (candidate.fitness or ())[place]


def _is_lost(candidate: Candidate) -> bool:
    return candidate.failure is not None and candidate.failure.cause == "infrastructure"


def _is_evaluated(candidate: Candidate) -> bool:
    """Is or was: what had been scored before takes no attempt."""
    return candidate.attempts > 0 or candidate.told is None


def _is_waited_for(candidate: Candidate) -> bool:
    """Warm starts may be the best, and none of them is waited for."""
    return candidate.proposed_by == "optimizer" and candidate.attempts > 0
