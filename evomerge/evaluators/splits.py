"""What keeps the three splits honest, whatever an evaluator's examples are."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Protocol, TypeVar

from evomerge.errors import ConfigError
from evomerge.evaluators.base import SPLITS, Split

__all__ = ["check_distinct", "check_ranges_apart", "overlap", "sampled"]


class Range(Protocol):
    """A split's documents; its text names them in a message."""

    def meets(self: R, other: R) -> bool:
        """Whether a document is in both."""


R = TypeVar("R", bound=Range)


def overlap(a: tuple[int, int | None], b: tuple[int, int | None]) -> bool:
    """Whether two ranges [first, end) share a number; without an end, all from first on."""
    ends = [float("inf") if end is None else end for _, end in (a, b)]
    return max(a[0], b[0]) < min(ends)


def check_ranges_apart(task: str, ranges: Mapping[Split, R | None]) -> None:
    """Raises: ValueError: two splits of the task share a document."""
    for one, other in combinations(SPLITS, 2):
        a, b = ranges.get(one), ranges.get(other)
        if a is not None and b is not None and a.meets(b):
            raise ValueError(
                f"task {task!r}: {one} ({a}) and {other} ({b}) overlap; give each its own documents"
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
