"""One worker on Ray: the actor, and what the driver knows of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from evomerge.cluster.base import Task, Worker, WorkerState, WorkerStatus
from evomerge.evaluators.base import Outcome
from evomerge.plugins import load
from evomerge.value import Value

__all__ = ["Assignment", "EvomergeWorker", "RayWorker", "WorkerDied"]

PING_S = 1.0
"""How often an idle worker is asked whether it lives; a busy one's task tells."""

GET_S = 60.0
"""How long a result that is ready may take to arrive."""


@ray.remote
class EvomergeWorker:
    """A worker in a process of its own, which Ray's dashboard lists under this name.

    Its class comes as a name, so that the driver need not load it. Making one may take minutes (an
    engine), which is `start`; before that, `where` says that the process has its place.
    """

    def where(self) -> str:
        """Host and process; answered as soon as the process runs."""
        return f"{ray.util.get_node_ip_address()} pid {os.getpid()}"

    def start(self, target: str, config: Value) -> None:
        """Make the worker, of the class `package.module:class`, from its configuration."""
        self._worker: Worker = load(target)(config)

    def perform(self, task: Task) -> Outcome:
        """What the worker says of the task."""
        return self._worker.perform(task)


class WorkerDied(Exception):
    """A worker's process has gone, or is no longer to be trusted: why."""

    def __init__(self, problem: Exception) -> None:
        """`problem`: what was raised in the worker, or by Ray about it."""
        lines = str(problem).strip().splitlines() or [""]
        super().__init__(f"{type(problem).__name__}: {lines[-1]}")
        self.problem = problem


@dataclass
class Assignment:
    """A task, at which attempt (the first is 1), and whether its result is still wanted."""

    task: Task
    attempt: int
    cancelled: bool = False


class RayWorker:
    """A worker as the driver sees it; its process may be replaced, it stays the same worker.

    It waits for one thing at a time, its `awaited` reference: a place, then the end of `start`,
    then the results of tasks; `advance` takes what has come.
    """

    _actor: Any
    _started: Any

    def __init__(self, id_: str, spawn: Callable[[], Any], *start: Any) -> None:
        """`spawn` asks Ray for the actor; `start`: what the actor's `start` is called with."""
        self.id = id_
        self._spawn, self._start = spawn, start
        self.restarts = 0
        self.failed_starts = 0
        """How many processes in a row died before they came up."""
        self.assignment: Assignment | None = None
        self.state: WorkerState = "starting"
        self.where: str | None = None
        self.awaited: Any = None
        self._requested = self._since = self._pinged = time.monotonic()
        self._request()

    @property
    def is_up(self) -> bool:
        """Whether it has come up, and lives as far as is known."""
        return self.state in ("idle", "busy")

    @property
    def has_place(self) -> bool:
        """Whether it has a process: it is up or coming up."""
        return self.where is not None

    @property
    def waited_s(self) -> float:
        """Seconds since Ray was asked for its process."""
        return time.monotonic() - self._requested

    @property
    def seconds(self) -> float:
        """How long it has been in its state."""
        return time.monotonic() - self._since

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
        try:
            brought: Any = ray.get(self.awaited, timeout=GET_S)
        except RayError as problem:
            raise WorkerDied(getattr(problem, "cause", None) or problem) from None
        if self.state == "busy":
            outcome: Outcome = brought
            return outcome
        if not self.has_place:
            self.where = brought
            self.awaited = self._started
            self._enter("starting")
        elif self.state == "starting":
            self.failed_starts = 0
            self.release()
        else:
            self.awaited = None
        return None

    def perform(self, assignment: Assignment) -> None:
        """Begin a task; only for a worker that is idle."""
        task = assignment.task
        self.assignment = assignment
        title = f"{task.split} {task.id[:12]}"  # in Ray's dashboard
        self.awaited = self._actor.perform.options(name=title).remote(task)
        self._enter("busy")

    def release(self) -> None:
        """It has nothing to do from now on."""
        self.assignment = self.awaited = None
        self._enter("idle")

    def ping(self) -> None:
        """Ask an idle worker now and then whether it lives."""
        if self.state == "idle" and time.monotonic() - self._pinged > PING_S:
            self._pinged = time.monotonic()
            self.awaited = self._actor.where.remote()

    def replace(self) -> None:
        """Another process takes the worker's place, as soon as Ray has one."""
        self.leave()
        self.restarts += 1
        self._request()

    def leave(self) -> None:
        """Its process is ended; it is lost until it is replaced."""
        ray.kill(self._actor)
        self.assignment = self.awaited = self.where = None
        self._enter("lost")

    def _request(self) -> None:
        self._actor = self._spawn()
        self.awaited = self._actor.where.remote()
        self._started = self._actor.start.remote(*self._start)
        self._requested = time.monotonic()

    def _enter(self, state: WorkerState) -> None:
        self.state = state
        self._since = self._pinged = time.monotonic()
