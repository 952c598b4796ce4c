"""The in-process executor: one worker, here, now. For tests, debugging and single evaluations."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from evomerge.cluster.base import Task, TaskResult, Worker, WorkerState, WorkerStatus
from evomerge.cluster.config import InProcessConfig
from evomerge.errors import EvomergeError, InfrastructureError
from evomerge.evaluators.base import Failure
from evomerge.plugins import load
from evomerge.value import Value

__all__ = ["InProcess", "in_process"]


class InProcess:
    """Implements `Executor`: `wait` performs the oldest task itself.

    Nothing can interrupt it, so a deadline holds as far as the evaluator keeps it.
    """

    def __init__(
        self,
        make: Callable[[], Worker],
        *,
        max_attempts: int = 3,
        candidate_timeout_s: float | None = None,
    ) -> None:
        """`make`: makes the worker, when the first task is performed."""
        self._make = make
        self._worker: Worker | None = None
        self._queue: deque[Task] = deque()
        self._max_attempts, self._timeout_s = max_attempts, candidate_timeout_s
        self._state: WorkerState = "starting"
        self._since = time.monotonic()
        self._task: str | None = None
        self._is_open = True

    @property
    def where(self) -> str:
        """For a person: this process."""
        return f"in this process (pid {os.getpid()})"

    @property
    def free(self) -> int:
        """1 if no task waits; else 0."""
        return 1 if self._is_open and not self._queue else 0

    @property
    def queued(self) -> int:
        """How many tasks wait."""
        return len(self._queue)

    def workers(self) -> list[WorkerStatus]:
        """The one worker; others see it busy only from another thread."""
        seconds = time.monotonic() - self._since
        return [WorkerStatus("0", self._state, f"pid {os.getpid()}", self._task, seconds, 0)]

    def waiting_for(self) -> str | None:
        """Nothing: the worker is this process."""
        return None

    def submit(self, task: Task) -> None:
        """Queue a task.

        Raises:
            RuntimeError: after `drain` or `close`.
        """
        if not self._is_open:
            raise RuntimeError("the executor takes no more tasks")
        self._queue.append(task)

    def wait(self, timeout_s: float) -> list[TaskResult]:
        """One finished task; the time-out cannot interrupt it.

        Raises:
            UserError: the worker cannot be made of what the user wrote.
            InfrastructureError: the worker cannot be made.
        """
        if not self._queue:
            return []
        task = self._queue.popleft()
        if task.deadline_s is None:
            task = replace(task, deadline_s=self._timeout_s)
        if self._worker is None:
            self._worker = self._made()
        self._enter("busy" if self._is_open else "draining", task.id)
        result = self._perform(self._worker, task)
        self._enter("idle" if self._is_open else "draining")
        return [result]

    def cancel(self, id_: str) -> None:
        """Do not perform this task, if it waits."""
        self._queue = deque(task for task in self._queue if task.id != id_)

    def drain(self) -> None:
        """Take no more tasks; those that wait are performed by `wait`, as before."""
        self._is_open = False
        self._enter("draining")

    def close(self) -> None:
        """Forget the worker, and the tasks that wait."""
        self._is_open = False
        self._queue.clear()
        self._worker = None

    def _made(self) -> Worker:
        try:
            return self._make()
        except EvomergeError:
            raise
        except Exception as problem:
            said = " ".join(str(problem).split())
            raise InfrastructureError(
                f"the worker does not come up: {type(problem).__name__}: {said}"
            ) from problem

    def _perform(self, worker: Worker, task: Task) -> TaskResult:
        where = f"pid {os.getpid()}"
        for attempt in range(1, self._max_attempts + 1):
            try:
                return TaskResult(task.id, worker.perform(task), where, attempt)
            except Exception as problem:  # noqa: BLE001 - whatever breaks a worker, it is not the candidate
                kind = type(problem).__name__
                reason = f"{kind}: {problem}"
        failure = Failure(cause="infrastructure", message=reason, error=kind)
        return TaskResult(task.id, failure, where, attempt)

    def _enter(self, state: WorkerState, task: str | None = None) -> None:
        self._state, self._task, self._since = state, task, time.monotonic()


def in_process(config: InProcessConfig, target: str, worker: Value) -> InProcess:
    """The executor with a worker of the class `package.module:class`, made from `worker`."""
    return InProcess(
        partial(load(target), worker),
        max_attempts=config.max_attempts,
        candidate_timeout_s=config.candidate_timeout_s,
    )
