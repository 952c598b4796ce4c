"""Moments of a search, as values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evomerge.cluster.base import WorkerState, WorkerStatus
from evomerge.searching.progress import Progress
from evomerge.study.candidate import Candidate

__all__ = ["TASKS", "candidate", "progress", "worker"]

TASKS = {
    "evomerge_json_math": 0.525,
    "evomerge_json": 0.9,
    "evomerge_math": 0.25,
    "evomerge_spell": 0.125,
}


def candidate(
    number: int,
    *fitness: float,
    label: str | None = None,
    tasks: Mapping[str, float] = TASKS,
    **more: Any,
) -> Candidate:
    return Candidate(
        number=number,
        proposed_by="landmark" if label else "optimizer",
        label=label,
        proposal=None if label else number,
        genome=(),
        values={},
        recipe={},
        digest=str(number),
        asked=2 * number,
        asked_s=0.0,
        state="done",
        fitness=fitness,
        tasks=tasks,
        told=2 * number + 1,
        **more,
    )


def progress(done: int = 12, **more: Any) -> Progress:
    """Of 25 candidates; the best four, and one reason of failures."""
    leaders = (
        candidate(9, 0.525),
        candidate(12, 0.5),
        candidate(0, 0.375, label="uniform"),
        candidate(3, 0.1, label="parent:mathematics"),
    )
    known: dict[str, Any] = {
        "total": 25,
        "limit_s": None,
        "evaluations": None,
        "evaluated": done,
        "failed": 0,
        "running": 2,
        "seconds": 250.0,
        "best": leaders[0],
        "leaders": leaders,
        "bests": leaders[:1],
        "curve": (0.0, 0.0, 0.1, 0.3, 0.375, 0.525),
    }
    return Progress(done=done, **known | more)


def worker(
    id_: str = "0",
    state: WorkerState = "busy",
    task: str | None = None,
    seconds: float = 14.0,
    where: str | None = "10.0.0.1 pid 1212",
    restarts: int = 0,
) -> WorkerStatus:
    return WorkerStatus(id_, state, where, task, seconds, restarts)
