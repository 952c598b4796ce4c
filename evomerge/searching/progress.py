"""Where a search stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evomerge.evaluators.base import Split
from evomerge.study.candidate import Candidate

if TYPE_CHECKING:
    from evomerge.config import Budget
    from evomerge.searching.tally import Tally

__all__ = ["Progress", "Scoring"]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a search stands."""

    total: int | None
    """Candidates in the budget; None where it has seconds only."""
    limit_s: float | None
    """Seconds in the budget, over all sittings."""
    evaluations: int | None
    """Evaluations in the budget."""
    done: int
    """Candidates that were told: scored, stopped or failed."""
    evaluated: int
    """Of those done, the ones whose recipe had not been scored before."""
    failed: int
    running: int
    seconds: float
    """Of searching, over all sittings."""
    best: Candidate | None
    stopped: int = 0
    """Of those done, the ones that the schedule gave up."""
    paused: int = 0
    """Candidates that wait for the schedule."""
    spent: str = ""
    """`3,508 of 9,984 examples`: of those that it would have taken to score all candidates on
    everything; "" where the schedule gives no parts."""
    draining: bool = False
    """Whether only what is under way is waited for, after an interruption."""
    objectives: tuple[str, ...] = ("fitness",)
    """The names of the fitness's numbers."""
    leaders: tuple[Candidate, ...] = ()
    """The best so far, best first: at most five."""
    bests: tuple[Candidate, ...] = ()
    """For each objective the candidate that is best in it."""
    curve: Sequence[float] = ()
    """The best of the first objective, after each candidate that was told; from the first on that
    has a fitness."""
    asking_s: float = 0.0
    """Seconds that the optimizer took to ask, in this sitting."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Why candidates failed -> how many, the most frequent reason first: at most a hundred."""

    @classmethod
    def of(
        cls,
        tally: Tally,
        budget: Budget,
        *,
        running: int,
        paused: int,
        seconds: float,
        objectives: tuple[str, ...],
        draining: bool = False,
        asking_s: float = 0.0,
    ) -> Progress:
        """What a tally comes to, of a budget; the rest are fields."""
        return cls(
            total=budget.candidates,
            limit_s=budget.seconds,
            evaluations=budget.evaluations,
            done=tally.done,
            evaluated=tally.evaluated,
            failed=tally.failed,
            stopped=tally.stopped,
            spent=tally.spent,
            running=running,
            paused=paused,
            seconds=seconds,
            best=next(iter(tally.leaders), None),
            draining=draining,
            objectives=objectives,
            leaders=tally.leaders,
            bests=tally.bests,
            curve=tally.curve,
            failures=tally.failures,
            asking_s=asking_s,
        )


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How far the models of a split are scored, once the search is over; candidates of searches of
    equal cost are among them."""

    split: Split
    done: int
    """Models that are scored, or failed, of this split."""
    total: int
    models: Mapping[str, str]
    """Of those under way: the id of the task -> the model's label."""
    noun: str = "model"
    """What one of them is called: a finalist, a strength of a baseline."""
    opponent: str = ""
    """The search of equal cost whose models they are; "" where they are the study's own."""

    @property
    def where(self) -> str:
        """`validation`, or with an opponent `random search (equal cost), validation`."""
        return f"{self.opponent}, {self.split}" if self.opponent else self.split
