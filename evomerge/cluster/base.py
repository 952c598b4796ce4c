"""The executor contract: where candidates are performed.

Only recipes go out and only outcomes come back, so the driver moves kilobytes a candidate. Results
are addressed by id; late and repeated deliveries of one id are the executor's to sort out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from evomerge.evaluators.base import Outcome, Split
from evomerge.recipe.tree import Recipe

__all__ = ["TaskResult", "Executor", "Worker", "Task"]


@dataclass(frozen=True)
class Task:
    """One recipe to be scored on one split."""

    id: str
    recipe: Recipe
    split: Split


@dataclass(frozen=True)
class TaskResult:
    """What became of a piece of work, where, and at which attempt."""

    id: str
    outcome: Outcome
    worker: str
    attempts: int


class Worker(Protocol):
    """What an executor runs: made once where it lives, then called for each piece of work."""

    def perform(self, task: Task) -> Outcome:
        """The outcome; an exception means that the surroundings failed, not the candidate."""


class Executor(Protocol):
    """A set of workers."""

    @property
    def slots(self) -> int:
        """How many pieces of work run at once."""

    @property
    def where(self) -> str:
        """For a person: what runs here and where to watch it."""

    def submit(self, task: Task) -> None:
        """Queue a piece of work; its id must not be under way."""

    def wait(self, timeout_s: float) -> Sequence[TaskResult]:
        """What has finished since the last call; waits for the first at most `timeout_s`.

        Raises:
            InfrastructureError: no worker can be kept alive.
        """

    def close(self) -> None:
        """Let the workers go; work under way is abandoned."""
