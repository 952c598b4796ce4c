"""The in-process executor: one worker, here, now. For tests, debugging and single evaluations."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from functools import partial

from evomerge.cluster.base import Task, TaskResult, Worker, WorkerState, WorkerStatus, overrun
from evomerge.cluster.config import InProcessConfig
from evomerge.cluster.time_limit import TimeIsUp, time_limit
from evomerge.errors import EvomergeError, InfrastructureError
from evomerge.evaluators.base import Failure
from evomerge.interruption import allowed
from evomerge.plugins import load
from evomerge.value import Value
from evomerge.wording import count

__all__ = ["InProcess", "in_process"]


HARD_S = 60.0
"""An evaluation that cannot be interrupted for so long ends the process."""


class InProcess:
    """Implements `Executor`: `wait` performs the oldest task itself.

    An evaluator that keeps its deadline itself leaves the worker as it is. One that has to be
    interrupted (`time_limit`) or that breaks costs the worker, as it does where workers are
    processes: nobody knows what it was in the middle of.
    """

    def __init__(
        self,
        make: Callable[[], Worker],
        *,
        max_attempts: int = 3,
        candidate_timeout_s: float | None = None,
        grace_s: float = 10.0,
    ) -> None:
        """`make`: makes the worker, when the first task is performed."""
        self._make = make
        self._worker: Worker | None = None
        self._queue: deque[Task] = deque()
        self._max_attempts, self._timeout_s = max_attempts, candidate_timeout_s
        self._grace_s = grace_s
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
        if task.begun >= self._max_attempts:
            return [_given_up(task)]
        with allowed():
            self._worker = self._worker or self._made()
            self._enter("busy" if self._is_open else "draining", task.id)
            result = self._perform(task)
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

    def _perform(self, task: Task) -> TaskResult:
        where = f"pid {os.getpid()}"
        for attempt in range(1, self._max_attempts - task.begun + 1):
            if self._worker is None:
                self._worker = self._made()
            try:
                with self._limit(task):
                    return TaskResult(task.id, self._worker.perform(task), where, attempt)
            except TimeIsUp:
                self._abandon()
                return TaskResult(task.id, overrun(task.deadline_s or 0.0), where, attempt)
            except Exception as problem:  # noqa: BLE001 - whatever breaks a worker, it is not the candidate
                kind = type(problem).__name__
                reason = f"{kind}: {problem}"
            self._abandon()
        failure = Failure(cause="infrastructure", message=reason, error=kind)
        return TaskResult(task.id, failure, where, attempt)

    def _abandon(self) -> None:
        """Never use the worker again, and end what it can end."""
        close: Callable[[], None] | None = getattr(self._worker, "close", None)
        self._worker = None
        if close is not None:
            with suppress(Exception):
                close()

    def _limit(self, task: Task) -> AbstractContextManager[None]:
        if task.deadline_s is None:
            return nullcontext()
        soft_s = task.deadline_s + self._grace_s
        return time_limit(soft_s, soft_s + HARD_S, partial(_last_words, task))

    def _enter(self, state: WorkerState, task: str | None = None) -> None:
        self._state, self._task, self._since = state, task, time.monotonic()


def _given_up(task: Task) -> TaskResult:
    """What becomes of a task that processes did not live to see the end of."""
    times = count(task.begun, "time")
    said = f"the process ended {times} at its evaluation: it crashed, was killed or hung"
    failure = Failure(cause="infrastructure", message=said, error="InfrastructureError")
    return TaskResult(task.id, failure, f"pid {os.getpid()}", 0)


def _last_words(task: Task) -> str:
    return (
        f"the evaluation of candidate {task.id} hangs past its deadline, {task.deadline_s:g} s, and"
        " cannot be interrupted: this process ends; `evomerge resume` goes on"
    )


def in_process(config: InProcessConfig, target: str, worker: Value) -> InProcess:
    """The executor with a worker of the class `package.module:class`, made from `worker`."""
    return InProcess(
        partial(load(target), worker),
        max_attempts=config.max_attempts,
        candidate_timeout_s=config.candidate_timeout_s,
        grace_s=config.grace_s,
    )
