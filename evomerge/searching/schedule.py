"""The schedule: how much of a candidate is evaluated, and when; between optimizer and executor.

    optimizer.ask -> candidate --schedule--> stage --executor--> report of a part
                                  ^                                   |
                                  '------- so far: parts, joined <----'

Laws:

- *It decides by what it is asked.* All that a schedule knows are the candidates and outcomes of its
  calls. Asked again with nothing new it answers the same: the search also asks about candidates
  that wait or are under way. One that goes by what became of other candidates says so by an
  attribute, `remembers = True`: the calls of a search that is resumed are then repeated for it, in
  the order of the record.
- *No stage twice.* The parts of one candidate are different ones, of one split; together they need
  not be all of it.
- *A pause ends.* A candidate may be paused while another is under way or can still be asked. The
  optimizer hears of landmarks first, so those must come to their end without anyone else. One
  that does not know how many more are asked has a method `release`: it is asked about those that
  wait when nothing else is left to do, and says then that they go on or end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from evomerge.config import WholeConfig
from evomerge.evaluators.base import Outcome, Selection, Split
from evomerge.optimizers.base import Fitness
from evomerge.plugins import Factory
from evomerge.study.candidate import Candidate

__all__ = [
    "Decision",
    "Estimate",
    "Finished",
    "Paused",
    "Schedule",
    "Stage",
    "Stopped",
    "Whole",
    "again",
    "needs_objective",
    "release",
    "remembers",
    "spares_nothing",
]


@dataclass(frozen=True)
class Stage:
    """Evaluate this next."""

    split: Split = "search"
    examples: Selection | None = None
    """Task -> places of its examples, from 0, ascending; None: all of the split."""
    deadline_s: float | None = None
    """Seconds that the stage may take in its worker: a candidate that takes longer has failed.
    None: the cluster's own limit."""


@dataclass(frozen=True)
class Paused:
    """Nothing now; the schedule is asked again whenever a worker is free."""


@dataclass(frozen=True)
class Estimate:
    """A fitness that was estimated, with the standard error of each of its numbers (0.0: none)."""

    fitness: Fitness
    errors: Fitness


@dataclass(frozen=True)
class Finished:
    """The report so far is the candidate's; its fitness counts."""

    estimate: Estimate | None = None
    """Where the report is of a part of the examples, and the fitness is estimated from it; None:
    the fitness is the report's own."""


@dataclass(frozen=True)
class Stopped:
    """Not worth another stage. The candidate is recorded as stopped, and is never a best one."""

    fitness: Fitness | None = None
    """What the optimizer is told, finite and as long as the objective's. None: that the candidate
    failed; an optimizer that goes by examples is told so in any case, since some are missing."""
    why: str | None = None
    """In a sentence, for the record and whoever reads it."""


Decision = Stage | Paused | Finished | Stopped


class Schedule(Protocol):
    """See the laws above, and `evomerge.config.SCHEDULES` for what it is made from."""

    def next(self, candidate: Candidate, so_far: Outcome | None) -> Decision:
        """What becomes of a candidate now.

        Args:
            candidate: as recorded; only what was known when it was asked says anything here.
            so_far: all parts that came back, joined; None before the first; a failure where the
                candidate has failed: then the answer does not matter.
        """


def remembers(schedule: Schedule) -> bool:
    """Whether what it decides depends on other candidates than the one that it is asked about."""
    return bool(getattr(schedule, "remembers", False))


def needs_objective(factory: Factory) -> bool:
    """Whether what makes a schedule is called with the job's `objective` (report -> fitness), too:
    it says so by an attribute."""
    return bool(getattr(factory, "needs_objective", False))


def release(schedule: Schedule, candidate: Candidate, so_far: Outcome | None) -> Decision:
    """What becomes of a candidate that waits where nothing else can be done: an optimizer asks no
    more before it has heard of it, or the budget is spent. What the schedule says by a method of
    this name; of one that has none, the candidate waits on.
    """
    own: Callable[[Candidate, Outcome | None], Decision] | None
    own = getattr(schedule, "release", None)
    return Paused() if own is None else own(candidate, so_far)


def again(schedule: Schedule) -> Candidate | None:
    """A candidate to be asked again, as a finalist, when the search asks nothing more: by a method
    of this name, of a schedule that estimates, since an estimate may be too low. None: of one that
    has none, or when it has enough."""
    own: Callable[[], Candidate | None] | None = getattr(schedule, "again", None)
    return None if own is None else own()


def spares_nothing(schedule: Schedule) -> str | None:
    """Why every candidate is scored on everything though a schedule is there to spare examples:
    what it says by a method of this name; None: it spares some, or says nothing of it."""
    own: Callable[[], str | None] | None = getattr(schedule, "spares_nothing", None)
    return None if own is None else own()


class Whole:
    """One stage of all examples."""

    config: ClassVar[type[WholeConfig]] = WholeConfig

    def __init__(self, config: WholeConfig, *, sizes: Mapping[str, int], seed: int) -> None:
        """`sizes`: task -> examples of the search split, as far as they are known."""

    def next(self, candidate: Candidate, so_far: Outcome | None) -> Decision:
        """One stage of all examples, then the end."""
        return Stage() if so_far is None else Finished()
