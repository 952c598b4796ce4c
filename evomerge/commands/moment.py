"""A search at one moment, and what is said of it: how far it is, what is waited for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from evomerge.cluster.base import WorkerStatus
from evomerge.searching.progress import Progress, Scoring
from evomerge.wording import clock, count

__all__ = [
    "Moment",
    "Wait",
    "done_of",
    "ended_otherwise",
    "share_of",
    "task_label",
    "waited_for",
]

NAMED = 3
"""So many tasks under way are named in a line."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Everything that a person is shown of a search at one moment."""

    doing: str = ""
    """What the driver does while there are no workers yet: `starting Ray here`."""
    doing_s: float = 0.0
    """Seconds since it began."""
    progress: Progress | None = None
    scoring: Scoring | None = None
    """Once the search is over."""
    workers: Sequence[WorkerStatus] = field(default=())
    missing: str | None = None
    """What keeps workers from working, in the executor's words."""
    seconds: float = 0.0
    """Of searching, over all sittings."""
    left_s: float | None = None
    """Until the search ends, as far as that can be told."""


class Wait(NamedTuple):
    """What is waited for."""

    kind: str
    """What stays the same while the same is waited for."""
    text: str


def waited_for(at: Moment) -> Wait:
    """What is waited for, in a line."""
    states = Counter(worker.state for worker in at.workers)
    if at.missing is not None:
        return Wait("missing", at.missing)
    if busy := [worker for worker in at.workers if worker.task is not None]:
        named = (f"{task_label(worker, at.scoring)} ({clock(worker.seconds)})" for worker in busy)
        shown = ", ".join(list(named)[:NAMED])
        more = f" and {len(busy) - NAMED} more" if len(busy) > NAMED else ""
        if at.scoring is not None:
            return Wait(at.scoring.where, f"scoring {shown}{more} {_place(at.scoring)}")
        return Wait("busy", f"evaluating {shown}{more}")
    if starting := [worker for worker in at.workers if worker.state == "starting"]:
        placed = [worker for worker in starting if worker.where is not None]
        if placed:
            longest = clock(max(worker.seconds for worker in placed))
            workers = count(len(placed), "worker")
            return Wait("starting", f"starting {workers}: loading the model ({longest})")
        return Wait("placing", f"starting {count(len(starting), 'worker')}: waiting for a place")
    if states["lost"]:
        return Wait("lost", f"{count(states['lost'], 'worker')} lost; another takes the place")
    if at.scoring is not None and at.workers:
        return Wait(at.scoring.where, f"scoring {_place(at.scoring)}")
    if at.workers and at.progress is not None:
        return Wait("idle", "choosing what to evaluate next")
    return Wait(at.doing, f"{at.doing} ({clock(at.doing_s)})")


def _place(scoring: Scoring) -> str:
    whose = f", for {scoring.opponent}" if scoring.opponent else ""
    return f"on the {scoring.split} split{whose}"


def task_label(worker: WorkerStatus, scoring: Scoring | None) -> str:
    """What a worker is at: `#12`, or of a model that is scored after the search its label."""
    task = worker.task or ""
    if scoring is not None and task in scoring.models:
        return scoring.models[task]
    number = task.partition(".")[0]
    return f"#{number}" if number.isdigit() else task[:12]


def done_of(at: Moment) -> str:
    """How much is done, in words: `12 of 25 candidates`, `validation: 2 of 5 finalists`."""
    if at.scoring is not None:
        done, total = at.scoring.done, count(at.scoring.total, at.scoring.noun)
        return f"{at.scoring.where}: {done} of {total}"
    progress = at.progress
    if progress is None:
        return ""
    if progress.evaluations is not None:
        evaluations = count(progress.evaluations, "evaluation")
        return f"{progress.evaluated} of {evaluations}, {count(progress.done, 'candidate')}"
    if progress.total is not None:
        return f"{progress.done} of {count(progress.total, 'candidate')}"
    return count(progress.done, "candidate")


def ended_otherwise(progress: Progress) -> str:
    """How many candidates were given up or wait: `1 stopped, 2 paused`; failures are told apart."""
    ends = {"stopped": progress.stopped, "paused": progress.paused}
    return ", ".join(f"{number} {end}" for end, number in ends.items() if number)


def share_of(at: Moment) -> float | None:
    """The part that is done, 0 to 1; None where there is nothing to measure it by."""
    if at.scoring is not None:
        return at.scoring.done / at.scoring.total if at.scoring.total else 1.0
    progress = at.progress
    if progress is None:
        return None
    shares = [progress.done / progress.total] if progress.total else []
    shares += [progress.evaluated / progress.evaluations] if progress.evaluations else []
    shares += [at.seconds / progress.limit_s] if progress.limit_s else []
    return min(1.0, max(shares)) if shares else None
