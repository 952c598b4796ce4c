"""What tests of executors do with them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from evomerge.cluster.base import Executor, Task, TaskResult
from evomerge.evaluators.base import Failure, Report
from evomerge.recipe.source import Source

__all__ = ["PATIENCE_S", "collect", "failure", "processes_of", "submit", "until", "value"]

PATIENCE_S = 1200.0
"""How long a test waits for what must come; however busy the machine, only a broken executor needs
so long."""


def submit(executor: Executor, id_: str, what: str, deadline_s: float | None = None) -> None:
    """One task, of which the recipe's model says what the worker does."""
    executor.submit(Task(id_, Source(model=what), "search", deadline_s=deadline_s))


def collect(executor: Executor, *whats: str) -> dict[str, TaskResult]:
    """Submit a task per word, with the ids 0, 1, ..., and wait for all of them."""
    for number, what in enumerate(whats):
        submit(executor, str(number), what)
    results: dict[str, TaskResult] = {}
    until(executor, lambda: len(results) == len(whats), results)
    return results


def until(
    executor: Executor, holds: Callable[[], bool], results: dict[str, TaskResult] | None = None
) -> None:
    """Drive the executor until something holds; what it delivers goes into `results`."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, f"in vain: {executor.workers()}, {executor.waiting_for()}"
        for result in executor.wait(0.2):
            assert results is not None, f"nobody waits for {result}"
            assert result.id not in results, "delivered twice"
            results[result.id] = result


def value(result: TaskResult) -> float:
    """The score of a task that must have one."""
    assert isinstance(result.outcome, Report), result.outcome
    return result.outcome.tasks["t"].value


def failure(result: TaskResult) -> tuple[str, str]:
    """Cause and message of a task that must have failed."""
    assert isinstance(result.outcome, Failure), result.outcome
    return result.outcome.cause, result.outcome.message


def processes_of(session: Path) -> list[str]:
    """Titles of the processes that have a file of a session of Ray's open."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            files = [os.readlink(file) for file in (process / "fd").iterdir()]  # noqa: PTH115
        except OSError:
            continue
        if any(file.startswith(f"{session}/") for file in files):
            found.append((process / "comm").read_text())
    return found
