"""What keeps the three splits honest, whatever an evaluator's examples are.

For evaluators of several tasks, each with a weight and with splits of its own or the evaluator's.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any, Protocol, TypeVar

from evomerge.errors import ConfigError
from evomerge.evaluators.base import SPLITS, Split

__all__ = [
    "check_distinct",
    "check_tasks",
    "overlap",
    "sampled",
    "splits_of",
    "tasks_of",
    "with_weights",
]


class SplitTask(Protocol):
    """How a task counts."""

    @property
    def weight(self) -> float:
        """In the objective; 0: measured on the holdout only."""

    @property
    def splits(self) -> Any | None:
        """Split -> its documents or None, as attributes; None: the evaluator's."""


T = TypeVar("T", bound=SplitTask)


def overlap(a: tuple[int, int | None], b: tuple[int, int | None]) -> bool:
    """Whether two ranges [first, end) share a number; without an end, all from first on."""
    ends = [float("inf") if end is None else end for _, end in (a, b)]
    return max(a[0], b[0]) < min(ends)


def splits_of(name: str, tasks: Mapping[str, T], shared: Any | None) -> Any:
    """The splits of a task: its own, or those that the evaluator has for all.

    Raises:
        ValueError: there are neither.
    """
    splits = tasks[name].splits or shared
    if splits is None:
        raise ValueError(f"task {name!r} has no splits; give them there or for all tasks")
    return splits


def tasks_of(split: Split, tasks: Mapping[str, T], shared: Any | None) -> list[str]:
    """On the holdout all that have documents; on the others, which choose, those that count."""
    return [
        name
        for name, task in tasks.items()
        if getattr(splits_of(name, tasks, shared), split)
        and (task.weight > 0 or split == "holdout")
    ]


def with_weights(tasks: Any) -> Any:
    """Tasks as a file says them, each with what is said of it and how much it counts.

    A list of names is short for a mapping. Where no task says a weight, each counts 1; otherwise
    those that say none are measured on the holdout only.
    """
    if isinstance(tasks, list | tuple) and all(isinstance(name, str) for name in tasks):
        tasks = dict.fromkeys(tasks)
    if not isinstance(tasks, Mapping):
        return tasks
    said = {name: {} if choice is None else choice for name, choice in tasks.items()}
    if all(isinstance(choice, Mapping) and "weight" not in choice for choice in said.values()):
        return {name: {**choice, "weight": 1.0} for name, choice in said.items()}
    return said


def check_tasks(tasks: Mapping[str, T], shared: Any | None, *, later: bool = False) -> None:
    """Check that a task counts, and that no two splits of a task share a document.

    `later`: a task may be without splits as yet.

    Raises:
        ValueError: otherwise.
    """
    if not any(task.weight > 0 for task in tasks.values()):
        raise ValueError("at least one task needs a weight > 0: the search maximises their sum")
    for name, task in tasks.items():
        if later and not (task.splits or shared):
            continue
        splits = splits_of(name, tasks, shared)
        for first, second in combinations(SPLITS, 2):
            a, b = getattr(splits, first), getattr(splits, second)
            if a and b and a.meets(b):
                raise ValueError(
                    f"task {name!r}: {first} ({a}) and {second} ({b}) overlap; "
                    "give each its own documents"
                )


def check_distinct(task: str, rows: Iterable[tuple[Split, str, str]]) -> None:
    """No example stands in two splits. `rows`: (split, where it stands, its content).

    Raises:
        ConfigError: naming both places.
    """
    seen: dict[str, tuple[str, str]] = {}
    for split, where, content in rows:
        split_before, where_before = seen.setdefault(content, (split, where))
        if split_before != split:
            raise ConfigError(
                f"task {task!r}: {where} ({split}) equals {where_before} ({split_before}); "
                "an example may be in one split only"
            )


def sampled(places: range, limit: int | None, *, seed: int, task: str, split: Split) -> list[int]:
    """At most `limit` of the places, ascending, drawn by seed, task and split alone."""
    if limit is None or limit >= len(places):
        return list(places)
    return sorted(random.Random(f"{seed} {task} {split}").sample(places, limit))
