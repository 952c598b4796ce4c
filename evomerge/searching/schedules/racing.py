"""Racing: a candidate is given up as soon as it is significantly worse than the best one.

Maron and Moore 1994, "Hoeffding Races", NeurIPS 6; paired tests as in Birattari et al. 2002, "A
Racing Algorithm for Configuring Metaheuristics", GECCO; challengers that lead are tried on fresh
examples before they are the incumbent, as in SMAC (Hutter et al. 2011, LION 5, procedure 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from evomerge.errors import ConfigError
from evomerge.evaluators.base import Outcome, Report
from evomerge.evaluators.objective import Objective
from evomerge.evaluators.quantities import sign_of
from evomerge.evaluators.selection import part_of
from evomerge.searching.schedule import Decision, Finished, Stage, Stopped
from evomerge.searching.schedules.allowed import missed
from evomerge.searching.schedules.degenerate import degeneration
from evomerge.searching.schedules.examples import ExampleOrder
from evomerge.searching.schedules.known import ranking
from evomerge.searching.schedules.settings import SavingConfig
from evomerge.study.candidate import Candidate
from evomerge.study.combined import combined_difference
from evomerge.wording import count

__all__ = ["Racing", "RacingConfig"]

ROUNDING = 1e-9
"""A difference that is no larger comes of rounding."""


class RacingConfig(SavingConfig):
    """Racing: block by block, until a candidate is significantly worse than the best so far.

    The two are compared on the same examples.
    """

    kind: Literal["racing"] = "racing"
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Chance that one of its tests gives up a candidate which is as good as the best."""
    fresh: Annotated[float, Field(ge=0, le=0.9)] = 0.5
    """Share of the examples that only those are scored on which lead on the others: one that is
    level ends there, whatever the tests say. The score by which a candidate came to lead is
    flattered; these say whether it holds."""


class Racing:
    """Blocks of `least` examples. After each, a paired test against the incumbent, one-sided, at
    `alpha` divided by the number of tests (Bonferroni). When only the fresh examples are left, one
    that does not lead is stopped, too.

    The incumbent is the best that was scored on everything, as the landmarks are, and keeps the
    objective's constraints. A candidate that is stopped is told as the incumbent's fitness and its
    distance from it on the same examples.
    """

    config: ClassVar[type[RacingConfig]] = RacingConfig
    needs_objective = True
    remembers = True

    def __init__(
        self, config: RacingConfig, *, sizes: Mapping[str, int], seed: int, objective: Objective
    ) -> None:
        """
        Raises:
            ConfigError: the objective has several numbers, or is the worst of several tasks, of
                which there is no paired test.
        """
        self._config, self._rank, self._seed = config, ranking(config, objective), seed
        self._objective, self._weights = objective, objective.counting
        if objective.config.combine == "worst" and len(self._weights) > 1:
            raise ConfigError(
                "schedule: racing tests how far two models' weighted means are apart, and the"
                " objective takes the worst task (combine: worst); take {schedule: halving}"
            )
        self._order = ExampleOrder(config, sizes=sizes, tasks=objective.weights, seed=seed)
        total, ends = self._order.total, list[int]()
        while (wanted := (ends[-1] if ends else 0) + config.least) < total:
            ends.append(self._order.rounded(wanted))
        self._ends = [*(end for end in ends if end < total), total]
        held = (1 - config.fresh) * total
        self._fresh_from = next((end for end in self._ends[:-1] if end >= held), total)
        self._digests: set[str] = set()
        """Of recipes that were scored on everything."""
        self._incumbent: tuple[int, Report] | None = None
        self._tests: dict[tuple[int, int, int], str | None] = {}

    def next(self, candidate: Candidate, so_far: Outcome | None) -> Decision:
        """See `Schedule`."""
        number = candidate.number
        if not isinstance(so_far, Report):
            if so_far is not None:
                return Stopped()
            # A recipe whose whole report is there costs nothing.
            is_whole = candidate.proposal is None or candidate.digest in self._digests
            return Stage() if is_whole else self._stage(0)
        if self._order.has_all(so_far):
            self._digests.add(candidate.digest)
            self._challenge(number, so_far)
            return Finished()
        scored = self._order.scored(so_far.places or {})
        why = self._why_stopped(number, so_far, scored)
        if why is None:
            return self._stage(scored)
        said = f"after {scored} of {self._order.total} examples: {why}"
        return Stopped((self._told(so_far, scored),), why=said)

    def spares_nothing(self) -> str | None:
        """See `schedule.spares_nothing`."""
        if len(self._ends) > 1:
            return None
        return f"{self._config.first_stage} is all of the {count(self._order.total, 'example')}"

    def _stage(self, scored: int) -> Stage:
        end = next(end for end in self._ends if end > scored)
        if scored == 0 and end == self._order.total:
            return Stage()
        return Stage(examples=self._order.between(scored, end))

    def _challenge(self, number: int, report: Report) -> None:
        """The better of two on all examples is the incumbent; the older one of two equal ones."""
        if missed(self._objective, report):
            return
        if self._incumbent is None or self._rank(report) > self._rank(self._incumbent[1]):
            self._incumbent = number, report

    def _why_stopped(self, number: int, so_far: Report, scored: int) -> str | None:
        is_first = scored == self._ends[0]
        if is_first and self._config.degenerate and (why := degeneration(so_far)):
            return why
        if self._incumbent is None:
            return None
        key = number, scored, self._incumbent[0]
        if key not in self._tests:
            self._tests[key] = self._why_beaten(so_far, scored)
        return self._tests[key]

    def _why_beaten(self, so_far: Report, scored: int) -> str | None:
        """By the incumbent; None where it goes on."""
        assert self._incumbent is not None
        best, whole = self._incumbent
        other = part_of(whole, self._order.first(scored))
        behind = self._rank(other) - self._rank(so_far)
        tests = len(self._ends) - 1
        p = self._p(so_far, other, behind)
        if behind > 0 and p * tests < self._config.alpha:
            return f"{behind:.3g} behind candidate {best} (p = {p:.2g}, one of {tests} tests)"
        if scored >= self._fresh_from and behind >= 0:
            return f"no better than candidate {best}, and only fresh examples are left"
        return None

    def _p(self, so_far: Report, other: Report, behind: float) -> float:
        """One-sided, that it is no worse than the other one on the same examples.

        Prices are known and need no test: where they speak for the candidate, every difference is
        shifted by them, and where they speak against it, they do not make it surer.
        """
        whole = sum(self._weights.values())
        if not whole:
            return 0.0  # what is compared is a cost
        shares = {name: weight / whole for name, weight in self._weights.items()}
        signs = {name: sign_of(so_far.tasks[name]) for name in shares}
        gain = sum(
            signs[name] * share * (so_far.tasks[name].value - other.tasks[name].value)
            for name, share in shares.items()
        )
        priced = -behind - gain
        priced = priced if priced > ROUNDING else 0.0
        parts = [
            (
                signs[name] * share,
                [score + signs[name] * priced for score in so_far.tasks[name].examples],
                other.tasks[name].examples,
            )
            for name, share in shares.items()
        ]
        sources = [so_far.tasks[name].clusters for name in shares]
        difference = combined_difference(parts, clusters=sources, seed=self._seed)
        return difference.p / 2 if difference.mean < 0 else 1.0

    def _told(self, so_far: Report, scored: int) -> float:
        if self._incumbent is None:
            return self._rank(so_far)
        whole = self._incumbent[1]
        other = part_of(whole, self._order.first(scored))
        return self._rank(whole) + self._rank(so_far) - self._rank(other)
