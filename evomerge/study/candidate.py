"""A candidate as recorded, and the order of asks, stages and tells that restores a search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from evomerge.errors import RecordError
from evomerge.evaluators.base import Failure, Split
from evomerge.optimizers.base import Fitness, Parentage
from evomerge.recipe.genome import Genome

__all__ = [
    "Candidate",
    "Event",
    "Proposer",
    "RecordedStage",
    "State",
    "events",
    "front",
    "landmarks",
    "ranked",
]

Proposer = Literal["optimizer", "landmark", "finalist"]
"""Who proposed a candidate. A landmark is told to the optimizer before it proposes anything; a
finalist is tried when the search is over, and unknown to it."""

State = Literal["running", "paused", "done", "stopped", "failed"]
"""running: asked, and not told. paused: the same, but its schedule lets it wait. done: it has a
fitness. stopped: its schedule gave it up. failed: there is no report, and why."""


@dataclass(frozen=True, kw_only=True)
class RecordedStage:
    """A part of the examples on which a candidate was scored."""

    part: str
    """The part's name, by which its report is kept (`part_name`)."""
    split: Split
    scored: int
    """Examples scored by then, this part's among them."""
    worker: str
    attempts: int
    """How often the stage was tried; 0 where its report was there already."""
    ended: int
    """Its number in the order of all asks, stages and tells of the study, from 0."""
    ended_s: float
    """Seconds of searching until then, over all sittings."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One recipe put to the test. What is known only after the test is None or empty before it."""

    number: int
    proposed_by: Proposer
    label: str | None
    proposal: int | None
    """The optimizer's id of the question; None unless the optimizer asked."""
    genome: Genome
    values: Mapping[str, float | str]
    """Gene name -> value in the gene's own unit, in the order of the genome."""
    recipe: Mapping[str, Any]
    digest: str
    asked: int
    """The ask's number in the order of all asks, stages and tells of the study, from 0."""
    asked_s: float
    """Seconds of searching until then, over all sittings."""
    parentage: Parentage | None = None
    """Whence the question came, where the optimizer said so."""

    state: State = "running"
    stages: tuple[RecordedStage, ...] = ()
    """In their order; none of a candidate that was evaluated at once."""
    begun: int = 0
    """How often the evaluation after those stages was begun, as far as no sitting took it back."""
    fitness: Fitness | None = None
    partial: Fitness | None = None
    """The fitness by a part of the examples that the optimizer was told of a stopped candidate."""
    estimated: Fitness | None = None
    """The standard errors of a fitness that was estimated from a part of the examples; None: it was
    not estimated."""
    why: str | None = None
    """Of a stopped candidate, why its schedule gave it up, where it says so."""
    violations: tuple[float, ...] = ()
    """By how much each constraint of the objective is missed, as a share of what is wanted; 0 or
    less: it is met. Empty where there are none."""
    tasks: Mapping[str, float] = field(default_factory=dict)
    """Task -> its metric over all examples; of a candidate that was stopped, or whose fitness is
    estimated, over those that it came to."""
    truncated: float = 0.0
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall time by phase."""
    weights: str | None = None
    """Digest of the weights that the engine held when it answered, as `Report.weights`; None where
    nobody said so."""
    failure: Failure | None = None
    worker: str | None = None
    attempts: int = 0
    told: int | None = None
    """The tell's number in the same order."""
    told_s: float | None = None
    """Seconds of searching until then, over all sittings."""

    @property
    def missed(self) -> float:
        """By how much it misses all its constraints together; 0: it keeps them."""
        return sum(violation for violation in self.violations if violation > 0)


@dataclass(frozen=True)
class Event:
    """An ask, the end of a stage, or a tell."""

    kind: Literal["ask", "stage", "tell"]
    candidate: Candidate
    stages: int = 0
    """How many of the candidate's stages were over by then; of an ask 0, of a tell all."""


def events(candidates: Iterable[Candidate]) -> list[Event]:
    """All asks, stages and tells in the order in which they were recorded.

    Raises:
        RecordError: a number in that order is missing or stands twice.
    """
    numbered: list[tuple[int, Event]] = []
    for candidate in candidates:
        numbered.append((candidate.asked, Event("ask", candidate)))
        for number, stage in enumerate(candidate.stages, 1):
            numbered.append((stage.ended, Event("stage", candidate, number)))
        if candidate.told is not None:
            numbered.append((candidate.told, Event("tell", candidate, len(candidate.stages))))
    numbered.sort(key=lambda pair: pair[0])
    for expected, (number, event) in enumerate(numbered):
        if number != expected:
            raise RecordError(
                f"the record of asks and tells should go on with number {expected}, but candidate "
                f"{event.candidate.number} has number {number}: something else wrote to the study"
            )
    return [event for _, event in numbered]


def landmarks(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The landmarks in the order in which the optimizer hears of those that have a fitness: by
    number, whatever order they came back in.
    """
    own = (candidate for candidate in candidates if candidate.proposed_by == "landmark")
    return sorted(own, key=lambda candidate: candidate.number)


def ranked(candidates: Sequence[Candidate], limit: int) -> list[Candidate]:
    """At most `limit` of the candidates that have a fitness, best first: those that break a
    constraint behind all others, the one first that misses it by least.

    With several objectives: those that no other beats in everything, then those that only these
    beat, and so on (non-dominated sorting). The older one wins a tie. An estimate does not count
    where the same recipe was scored on more.
    """
    left = _best_known([c for c in candidates if c.fitness is not None])
    if all(len(candidate.fitness or ()) == 1 for candidate in left):
        order = sorted(left, key=lambda own: (own.missed, -_first(own), own.number))
        return order[:limit]
    import numpy as np
    from optuna.study._multi_objective import _fast_non_domination_rank

    losses = [[-value for value in candidate.fitness or ()] for candidate in left]
    missed = np.array([candidate.missed for candidate in left])
    penalty = missed if missed.any() else None
    ranks = _fast_non_domination_rank(np.array(losses), penalty=penalty, n_below=limit)
    places = sorted(range(len(left)), key=lambda place: (ranks[place], left[place].number))
    return [left[place] for place in places[:limit]]


def front(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that keep the constraints and that no other one beats in everything, by number; of
    equal ones the oldest. Of one objective that is the best alone."""
    left = _best_known([c for c in candidates if c.fitness is not None and c.missed == 0])
    if not left:
        return []
    import numpy as np
    from optuna.study._multi_objective import _is_pareto_front

    losses = -np.array([candidate.fitness for candidate in left], dtype=float)
    unique, places = np.unique(losses, axis=0, return_index=True)
    kept = _is_pareto_front(unique, assume_unique_lexsorted=True)
    return [left[place] for place in sorted(places[kept].tolist())]


def _best_known(candidates: list[Candidate]) -> list[Candidate]:
    """Without estimates of what another candidate of the same recipe says with less error."""
    if not any(candidate.estimated for candidate in candidates):
        return candidates
    least: dict[str, float] = {}
    for candidate in candidates:
        known = least.setdefault(candidate.digest, _error(candidate))
        least[candidate.digest] = min(known, _error(candidate))
    return [candidate for candidate in candidates if _error(candidate) <= least[candidate.digest]]


def _error(candidate: Candidate) -> float:
    """The standard error of an estimate."""
    return candidate.estimated[0] if candidate.estimated else 0.0


def _first(candidate: Candidate) -> float:
    """The first number of its fitness."""
    return (candidate.fitness or (0.0,))[0]
