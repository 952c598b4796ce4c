"""Small schedules for simulated searches, one of each kind that the contract has room for."""

from __future__ import annotations

from evomerge.evaluators.base import Failure, Outcome, Report, Selection
from evomerge.searching.schedule import Decision, Finished, Paused, Stage, Stopped
from evomerge.study.candidate import Candidate

__all__ = ["PARTS", "Hurdle", "Overtaken", "Trios"]

FIRST: Selection = {"sums": (0, 2), "words": (1,)}
REST: Selection = {"sums": (1, 3), "words": (0, 2)}
PARTS = (FIRST, REST)
"""Of the examples of `evomerge.simulation.scores`; together they are all."""


class Hurdle:
    """Half of the examples, then the others, unless the first were worse than half a point."""

    def next(self, candidate: Candidate, so_far: Outcome | None) -> Decision:
        """See `Schedule`."""
        if not isinstance(so_far, Report):
            return Stage(examples=FIRST)
        if so_far.places is None:
            return Finished()
        return Stage(examples=REST) if _value(so_far) > 0.4 else Stopped((_value(so_far),))


class Trios:
    """Of three questions of the optimizer in a row, the one with the best half goes on."""

    remembers = True

    def __init__(self) -> None:
        self._firsts: dict[int, float] = {}

    def next(self, candidate: Candidate, so_far: Outcome | None) -> Decision:
        """See `Schedule`."""
        question = candidate.proposal
        if so_far is None:
            return Stage() if question is None else Stage(examples=FIRST)
        if question is None:
            return Finished()
        if isinstance(so_far, Failure):
            self._firsts[question] = -1.0
            return Stopped()
        if so_far.places is None:
            return Finished()
        self._firsts[question] = _value(so_far)
        trio = range(question - question % 3, question - question % 3 + 3)
        if not all(other in self._firsts for other in trio):
            return Paused()
        best = max(trio, key=lambda other: self._firsts[other])
        return Stage(examples=REST) if question == best else Stopped((self._firsts[question],))


class Overtaken:
    """A candidate is given up, even while it is evaluated, once another one's half was better by
    a fifth of a point."""

    remembers = True

    def __init__(self) -> None:
        self._best = 0.0

    def next(self, candidate: Candidate, so_far: Outcome | None) -> Decision:
        """See `Schedule`."""
        if candidate.proposal is None:
            return Stage() if so_far is None else Finished()
        if not isinstance(so_far, Report):
            return Stage(examples=FIRST)
        if so_far.places is None:
            return Finished()
        self._best = max(self._best, _value(so_far))
        if _value(so_far) < self._best - 0.2:
            return Stopped((_value(so_far),))
        return Stage(examples=REST)


def _value(report: Report) -> float:
    return report.tasks["sums"].value
