"""One worker of a pool, as the driver knows it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from evomerge.cluster.actors import Actors, Location, Unreachable
from evomerge.cluster.base import Task, WorkerState, WorkerStatus
from evomerge.evaluators.base import Outcome

__all__ = ["Assignment", "PoolWorker"]

PING_S = 1.0
"""How often an idle worker is asked whether it lives; a busy one's task tells."""


@dataclass
class Assignment:
    """A task, at which attempt (the first is 1), and whether its result is still wanted."""

    task: Task
    attempt: int
    cancelled: bool = False
    deaths: tuple[tuple[str, ...], ...] = ()
    """Of each process that has died at it, the nodes that it was on."""

    is_in_doubt: bool = False
    """Whether the last of these processes only could not be reached: nobody knows yet whether its
    node is lost."""

    def again(self, nodes: tuple[str, ...], problem: Exception | None = None) -> Assignment:
        """The next attempt, after a process on these nodes has died at it."""
        deaths, in_doubt = (*self.deaths, nodes), isinstance(problem, Unreachable)
        return replace(self, attempt=self.attempt + 1, deaths=deaths, is_in_doubt=in_doubt)

    def counted(self, gone: Collection[str]) -> int:
        """How many of the deaths count: not those of processes whose node is lost, which may be
        known only later."""
        return sum(not any(node in gone for node in nodes) for nodes in self.deaths)


class PoolWorker:
    """A worker as the driver sees it; its process may be replaced, it stays the same worker.

    It waits for one thing at a time, its `awaited` reference: a place, then the end of `start`,
    then the results of tasks; `advance` takes what has come. A process is started when its place
    has been taken, so that one whose place is refused makes no engine.
    """

    def __init__(self, id_: str, actors: Actors, kind: int = 0) -> None:
        """Ask for its first process, of this kind of workers."""
        self.id = id_
        self.kind = kind
        self._actors = actors
        self.restarts = 0
        self.failed_starts = 0
        """How many processes in a row died before they came up."""
        self.assignment: Assignment | None = None
        self.state: WorkerState = "starting"
        self.place: Location | None = None
        self.awaited: Any = None
        self._requested = self._since = self._pinged = actors.now_s()
        self._request()

    @property
    def is_up(self) -> bool:
        """Whether it has come up, and lives as far as is known."""
        return self.state in ("idle", "busy")

    @property
    def where(self) -> str | None:
        """Host and process; None while it has neither."""
        return self.place.worker if self.place else None

    @property
    def has_place(self) -> bool:
        """Whether it has a process: it is up or coming up."""
        return self.place is not None

    @property
    def nodes(self) -> tuple[str, ...]:
        """Those that it is on; none while it has no place."""
        return self.place.nodes if self.place else ()

    def is_on(self, nodes: Collection[str]) -> bool:
        """Whether it is on one of these nodes."""
        return any(node in nodes for node in self.nodes)

    @property
    def waited_s(self) -> float:
        """Seconds since its process was asked for."""
        return self._actors.now_s() - self._requested

    @property
    def seconds(self) -> float:
        """How long it has been in its state."""
        return self._actors.now_s() - self._since

    def status(self, *, draining: bool) -> WorkerStatus:
        """What it does at the moment; `draining`: no task follows."""
        state: WorkerState = "draining" if draining and self.is_up else self.state
        task = self.assignment.task.id if self.assignment else None
        return WorkerStatus(self.id, state, self.where, task, self.seconds, self.restarts)

    def advance(self) -> Outcome | None:
        """Take what `awaited` brought: the outcome of a task, or None after anything else.

        Raises:
            WorkerDied: it brought a fault; `assignment` is still the task that it was at.
        """
        brought: Any = self._actors.take(self.awaited)
        if self.state == "busy":
            outcome: Outcome = brought
            return outcome
        if not self.has_place:
            self.place = brought
            self.awaited = self._actor.start()
            self._enter("starting")
        elif self.state == "starting":
            self.failed_starts = 0
            self.release()
        else:
            self.awaited = None
        return None

    def perform(self, assignment: Assignment) -> None:
        """Begin a task; only for a worker that is idle."""
        self.assignment = assignment
        self.awaited = self._actor.perform(assignment.task)
        self._enter("busy")

    def release(self) -> None:
        """It has nothing to do from now on."""
        self.assignment = self.awaited = None
        self._enter("idle")

    def ping(self) -> None:
        """Ask an idle worker now and then whether it lives."""
        if self.state == "idle" and self._actors.now_s() - self._pinged > PING_S:
            self._pinged = self._actors.now_s()
            self.awaited = self._actor.where()

    def replace(self) -> None:
        """Another process takes the worker's place, as soon as there is one."""
        self.leave()
        self.restarts += 1
        self._request()

    def leave(self) -> None:
        """Its process is ended; it is lost until it is replaced."""
        self._actor.kill()
        self.assignment = self.awaited = self.place = None
        self._enter("lost")

    def _request(self) -> None:
        self._actor = self._actors.make(self.id, self.kind)
        self.awaited = self._actor.where()
        self._requested = self._actors.now_s()

    def _enter(self, state: WorkerState) -> None:
        self.state = state
        self._since = self._pinged = self._actors.now_s()
