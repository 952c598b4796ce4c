"""The in-process executor: one worker, here, now. For tests, debugging and single evaluations."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

from evomerge.cluster.base import Task, TaskResult, Worker
from evomerge.evaluators.base import Failure

__all__ = ["InProcess"]


class InProcess:
    """Implements `Executor`: `wait` performs the oldest piece of work itself."""

    slots = 1

    def __init__(self, make: Callable[[], Worker], *, max_attempts: int = 3) -> None:
        self._make = make
        self._performer: Worker | None = None
        self._queue: deque[Task] = deque()
        self._max_attempts = max_attempts

    @property
    def where(self) -> str:
        return f"in this process (pid {os.getpid()})"

    def submit(self, task: Task) -> None:
        self._queue.append(task)

    def wait(self, timeout_s: float) -> list[TaskResult]:
        """One finished piece of work; the time-out cannot interrupt it."""
        if not self._queue:
            return []
        task = self._queue.popleft()
        if self._performer is None:
            self._performer = self._make()
        worker = f"pid {os.getpid()}"
        for attempt in range(1, self._max_attempts + 1):
            try:
                return [TaskResult(task.id, self._performer.perform(task), worker, attempt)]
            except Exception as problem:  # noqa: BLE001 - whatever breaks a worker, it is not the candidate
                last = f"{type(problem).__name__}: {problem}"
        return [TaskResult(task.id, Failure(cause="infrastructure", message=last), worker, attempt)]

    def close(self) -> None:
        self._queue.clear()
        self._performer = None
