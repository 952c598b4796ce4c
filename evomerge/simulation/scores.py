"""Scores without a model: a pure function of a recipe's digest and an example.

So a score that was recorded for another recipe than its own is seen at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from evomerge.cluster.base import Task
from evomerge.evaluators.base import Failure, Outcome, Report, Selection, Split, TaskScore
from evomerge.recipe.digest import digest

__all__ = ["SIZES", "candidate_failure", "simulated_outcome", "simulated_report"]

SIZES: Mapping[str, int] = {"sums": 4, "words": 3}
"""Task -> examples of the search split."""

_REASONS = ("overflows", "collapses", "diverges", "repeats itself", "stays silent")


def simulated_report(
    name: str, split: Split = "search", examples: Selection | None = None
) -> Report:
    """What every evaluation of the recipe with that digest finds."""
    tasks = {}
    for task, size in SIZES.items():
        places = range(size) if examples is None else examples.get(task, ())
        if places:
            scores = [_score(name, split, task, place) for place in places]
            tasks[task] = TaskScore.averaged("hash", scores)
    return Report(
        split=split, tasks=tasks, places=examples, costs={"layers": float(2 + int(name[:2], 16))}
    )


def candidate_failure(name: str) -> Failure | None:
    """Why the recipe with that digest cannot be scored: one in twelve cannot."""
    draw = int(name[2:8], 16)
    if draw % 12:
        return None
    return Failure(cause="candidate", message=f"the model {_REASONS[draw // 12 % len(_REASONS)]}")


def simulated_outcome(task: Task) -> Outcome:
    """What every worker says of the task, unless a fault comes between."""
    name = digest(task.recipe)
    return candidate_failure(name) or simulated_report(name, task.split, task.examples)


def _score(name: str, split: str, task: str, place: int) -> float:
    drawn = hashlib.sha256(f"{name} {split} {task} {place}".encode()).digest()
    return int.from_bytes(drawn[:4], "big") / 2**32
