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

__all__ = ["check_distinct", "check_tasks", "overlap", "sampled", "splits_of", "tasks_of"]


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


def check_tasks(tasks: Mapping[str, T], shared: Any | None) -> None:
    """Raises: ValueError: no task counts, one has no splits, or two splits share a document."""
    if not any(task.weight > 0 for task in tasks.values()):
        raise ValueError("at least one task needs a weight > 0: the search maximises their sum")
    for name in tasks:
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
