"""The executor contract: where candidates are evaluated.

Only recipes go out and only outcomes come back, so the driver moves kilobytes a candidate. Results
are addressed by id; late and repeated deliveries of one id are the executor's to sort out.

    starting ---> idle <--> busy          a worker is up once it has been idle
        ^           |         |
        |           '--> draining         after `drain`: it leaves when its task is done
        '---- lost <----------'           its process or node has gone; another takes its place

A task is given only to a worker that is up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from evomerge.evaluators.base import Failure, Outcome, Selection, Split
from evomerge.recipe.tree import Recipe

__all__ = ["Executor", "Task", "TaskResult", "Worker", "WorkerState", "WorkerStatus", "overrun"]

WorkerState = Literal["starting", "idle", "busy", "draining", "lost"]


@dataclass(frozen=True)
class Task:
    """One recipe to be scored on one split, or on a part of it."""

    id: str
    recipe: Recipe
    split: Split
    examples: Selection | None = None
    """Benchmark task -> places of its examples, from 0, ascending; None: all of the split."""
    deadline_s: float | None = None
    """Seconds that the evaluation may take, from when the worker begins it; None: the executor's
    own limit, if it has one. A candidate that takes longer has failed and is not tried again."""
    begun: int = 0
    """How often earlier processes of the driver began it, and did not live to see its end."""
    title: str = ""
    """For who watches the cluster: `json-math candidate 12`."""


@dataclass(frozen=True)
class TaskResult:
    """What became of a task, where, and at which attempt (the first is 1; 0: at none, since it was
    begun too often before)."""

    id: str
    outcome: Outcome
    worker: str
    attempts: int


@dataclass(frozen=True)
class WorkerStatus:
    """What a worker does at the moment."""

    id: str
    """It stays when the worker's process is replaced."""
    state: WorkerState
    where: str | None
    """Host and process; None while it has neither."""
    task: str | None
    """Id of the task that it performs."""
    seconds: float
    """How long it has been in this state."""
    restarts: int
    """How often its process has been replaced."""


class Worker(Protocol):
    """What an executor runs: made once where it lives, then called for each task."""

    def perform(self, task: Task) -> Outcome:
        """The outcome; an exception means that the surroundings failed, not the candidate.

        The task's deadline counts from this call. A worker that can tell gives up when it has
        passed, with a failure whose cause is the candidate.
        """


class Executor(Protocol):
    """A set of workers, which may grow and shrink while it works. It is called by one thread."""

    @property
    def where(self) -> str:
        """For a person: what runs here and where to watch it."""

    @property
    def free(self) -> int:
        """How many more tasks would find a worker: those that are up or have a place and come up.

        0 with nothing submitted means that workers are missing at the moment: `wait` for them.
        """

    def workers(self) -> Sequence[WorkerStatus]:
        """Every worker, in a fixed order."""

    def waiting_for(self) -> str | None:
        """For a person: what keeps workers from working, once that has taken a while."""

    def submit(self, task: Task) -> None:
        """Queue a task; its id must not be under way.

        Raises:
            RuntimeError: after `drain` or `close`.
        """

    def wait(self, timeout_s: float) -> Sequence[TaskResult]:
        """What has finished since the last call; waits for the first at most `timeout_s`.

        Raises:
            UserError: no worker can be made of what the user wrote.
            InfrastructureError: no worker can be had or kept alive.
        """

    def cancel(self, id_: str) -> None:
        """Deliver nothing of this task any more; an unknown id is no error.

        A task that no worker has begun is not performed. One that is performed is not interrupted,
        since that would cost its worker the engine: its worker is free when it is done.
        """

    def drain(self) -> None:
        """Take no more tasks; those submitted are finished, then each worker leaves."""

    def close(self) -> None:
        """Let the workers go; tasks under way are abandoned."""


def overrun(deadline_s: float) -> Failure:
    """The outcome of a candidate whose evaluation took longer than it may."""
    return Failure(
        cause="candidate", message=f"its evaluation took longer than its deadline, {deadline_s:g} s"
    )
