"""Asynchronous successive halving, and Hyperband over it.

Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", MLSys, algorithm 2 (ASHA);
Li et al. 2018, "Hyperband", JMLR 18:185, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from evomerge.evaluators.base import Outcome, Report
from evomerge.evaluators.objective import Objective
from evomerge.searching.schedule import Decision, Finished, Paused, Stage, Stopped
from evomerge.searching.schedules.allowed import missed
from evomerge.searching.schedules.degenerate import degeneration
from evomerge.searching.schedules.examples import ExampleOrder
from evomerge.searching.schedules.known import KnownWhole, ranking
from evomerge.searching.schedules.rung import Rung
from evomerge.searching.schedules.settings import SavingConfig
from evomerge.study.candidate import Candidate
from evomerge.wording import count

__all__ = ["Halving", "HalvingConfig", "Hyperband", "HyperbandConfig"]


class RungsConfig(SavingConfig):
    """How far the rungs are apart, and who is compared on them."""

    eta: Annotated[float, Field(ge=2)] = 3
    """Each rung has so many times the examples of the one before, and as many times fewer
    candidates."""
    window: Annotated[int, Field(ge=2)] = 24
    """A candidate is compared with so many, itself among them, that came last to its rung. Once so
    many others have come after it, it waits no longer and is stopped. Not all of the search: the
    latest candidates of a search that gets better would all be among the best of it."""


class HalvingConfig(RungsConfig):
    """Asynchronous successive halving: the best 1/eta of each rung go on to eta times the examples.

    One that waits goes on later if it comes into the best of those that came last.
    """

    kind: Literal["halving"] = "halving"


class HyperbandConfig(RungsConfig):
    """Hyperband: halving whose candidates begin on different rungs, in case few examples mislead.

    Brackets share the examples evenly, so that the one that begins with the fewest has most.
    """

    kind: Literal["hyperband"] = "hyperband"


class Halving:
    """Rungs of `least`, `least` x eta, ... and all examples; none above half of all but the last.

    Landmarks are scored on everything at once. A candidate is paused until it is among the best of
    its rung (where those that break a constraint are behind), until `window` others have come
    there, or until nothing else is left to do. Stopped, the optimizer is told an estimate of its
    fitness (`KnownWhole`), at most the least of those that went on from its rung.
    """

    config: ClassVar[type[RungsConfig]] = HalvingConfig
    needs_objective = True
    remembers = True

    def __init__(
        self, config: RungsConfig, *, sizes: Mapping[str, int], seed: int, objective: Objective
    ) -> None:
        self._config, self._rank, self._objective = config, ranking(config, objective), objective
        self._order = ExampleOrder(config, sizes=sizes, tasks=objective.weights, seed=seed)
        self._ends = self._rung_ends()
        brackets = range(self.brackets)
        self._rungs = [[Rung(config.eta, config.window) for _ in self._ends] for _ in brackets]
        self._known = KnownWhole(self._order, self._rank)
        self._digests: set[str] = set()
        self._degenerate: dict[int, str] = {}

    @property
    def brackets(self) -> int:
        """On how many rungs candidates begin."""
        return 1

    def bracket(self, proposal: int) -> int:
        """The rung on which a proposal begins, by its number."""
        return 0

    def next(self, candidate: Candidate, so_far: Outcome | None) -> Decision:
        """See `Schedule`."""
        if candidate.proposal is None:
            return self._of_landmark(candidate, so_far)
        if so_far is None and candidate.digest in self._digests:
            return Stage()  # which costs nothing: the report is there
        first = self.bracket(candidate.proposal)
        if not isinstance(so_far, Report):
            return self._stage(0, first) if so_far is None else Stopped()
        if self._order.has_all(so_far):
            self._learn(candidate, so_far)
            for rung in self._rungs[first]:
                rung.learn(candidate.number, self._rank(so_far))
            return Finished()
        scored = self._order.scored(so_far.places or {})
        level, number = self._ends.index(scored), candidate.number
        rung = self._rungs[first][level]
        self._arrive(number, so_far, rung, is_first=level == first)
        if number in rung.goes_on:
            return self._stage(scored, level + 1)
        if number in self._degenerate or number in rung.ended:
            return self._stopped(number, so_far, rung)
        return Paused()

    def spares_nothing(self) -> str | None:
        """See `schedule.spares_nothing`."""
        if len(self._ends) > 1:
            return None
        whole = count(self._order.total, "example")
        return f"{self._config.first_stage} is more than half of the {whole}"

    def release(self, candidate: Candidate, so_far: Outcome | None) -> Decision:
        """See `schedule.release`: it was not among the best, and nobody comes any more."""
        assert candidate.proposal is not None
        assert isinstance(so_far, Report)
        level = self._ends.index(self._order.scored(so_far.places or {}))
        rung = self._rungs[self.bracket(candidate.proposal)][level]
        rung.end(candidate.number)
        return self._stopped(candidate.number, so_far, rung)

    def _rung_ends(self) -> list[int]:
        """After how many examples each rung ends, ascending."""
        ends, wanted = [], float(self._config.least)
        while wanted <= self._order.total / 2:
            ends.append(self._order.rounded(wanted))
            wanted *= self._config.eta
        return sorted({*ends, self._order.total})

    def _of_landmark(self, candidate: Candidate, so_far: Outcome | None) -> Decision:
        if so_far is None:
            return Stage()
        if isinstance(so_far, Report):
            self._learn(candidate, so_far)
        return Finished()

    def _learn(self, candidate: Candidate, report: Report) -> None:
        self._known.add(candidate.number, report)
        self._digests.add(candidate.digest)

    def _arrive(self, number: int, so_far: Report, rung: Rung, *, is_first: bool) -> None:
        if number in rung or number in self._degenerate:
            return
        why = degeneration(so_far) if is_first and self._config.degenerate else None
        if why is not None:
            self._degenerate[number] = why
        else:
            rung.add(number, self._rank(so_far), missed(self._objective, so_far))

    def _stage(self, scored: int, level: int) -> Stage:
        end = self._ends[level]
        if scored == 0 and end == self._order.total:
            return Stage()
        return Stage(examples=self._order.between(scored, end))

    def _stopped(self, number: int, so_far: Report, rung: Rung) -> Stopped:
        scored = self._order.scored(so_far.places or {})
        why = self._degenerate.get(number) or rung.ended[number]
        told = self._known.estimate(so_far, scored)
        return Stopped(
            (told if rung.lowest is None else min(told, rung.lowest),),
            why=f"after {scored} of {self._order.total} examples: {why}",
        )


class Hyperband(Halving):
    """Successive halving from several rungs: brackets share the examples evenly, so that the one
    that begins with the fewest gets the most candidates."""

    config = HyperbandConfig

    def __init__(
        self, config: RungsConfig, *, sizes: Mapping[str, int], seed: int, objective: Objective
    ) -> None:
        super().__init__(config, sizes=sizes, seed=seed, objective=objective)
        rungs = len(self._ends)
        # Algorithm 1: a bracket with s rungs above its first has (s_max + 1) / (s + 1) * eta^s.
        shares = [config.eta**above / (above + 1) for above in reversed(range(rungs))]
        self._shares = [share / sum(shares) for share in shares]
        self._given = [0] * rungs
        self._brackets: list[int] = []

    @property
    def brackets(self) -> int:
        """One for each rung."""
        return len(self._ends)

    def bracket(self, proposal: int) -> int:
        """The bracket that is furthest behind its share, whoever has come before."""
        while len(self._brackets) <= proposal:
            asked = len(self._brackets) + 1
            behind = [asked * share - n for share, n in zip(self._shares, self._given, strict=True)]
            most = max(range(len(behind)), key=behind.__getitem__)
            self._given[most] += 1
            self._brackets.append(most)
        return self._brackets[proposal]
