"""The examples of the search split as one list of numbers, as what estimates from them has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from evomerge.errors import ConfigError
from evomerge.estimating.items import Array
from evomerge.evaluators.base import Report, Selection

__all__ = ["NumberedExamples"]


class NumberedExamples:
    """Those of all tasks that count, task by task: N in all, from 0."""

    def __init__(self, sizes: Mapping[str, int], weights: Mapping[str, float]) -> None:
        """`sizes`: task -> examples of the search split; `weights`: of tasks, 0: it does not count.

        Raises:
            ConfigError: the size of a task that counts is not known.
        """
        self.weights = {task: weight for task, weight in weights.items() if weight > 0}
        """Of each task that counts."""
        for task in self.weights:
            if not sizes.get(task):
                raise ConfigError(
                    f"schedule: estimated has to know how many search examples the task {task!r}"
                    " has; give its search split an end, or take {schedule: whole}"
                )
        self.sizes = {task: sizes[task] for task in self.weights}
        """Of each task that counts, how many examples it has."""
        self._places = [(task, place) for task, size in self.sizes.items() for place in range(size)]
        self._number = {pair: number for number, pair in enumerate(self._places)}
        self.groups: Array = np.repeat(np.arange(len(self.sizes)), list(self.sizes.values()))
        """(N,): the number of each example's task."""

    def __len__(self) -> int:
        return len(self._places)

    def many(self, examples: float) -> int:
        """A number of examples, of which a share (below 1) is rounded: two, and one of each task,
        at least."""
        every, least = len(self), max(2, len(self.sizes))
        return min(every, max(least, round(examples * every) if examples < 1 else int(examples)))

    def selection(self, numbers: Iterable[int]) -> Selection:
        """Task -> places of these examples."""
        chosen: dict[str, list[int]] = {}
        for number in sorted(numbers):
            task, place = self._places[number]
            chosen.setdefault(task, []).append(place)
        return {task: tuple(held) for task, held in chosen.items()}

    def scored(self, report: Report) -> tuple[tuple[int, ...], Array]:
        """Numbers of the examples that a report is about, ascending, and their scores."""
        held: dict[int, float] = {}
        for task, size in self.sizes.items():
            at = range(size) if report.places is None else report.places[task]
            held |= {
                self._number[task, place]: value
                for place, value in zip(at, report.tasks[task].examples, strict=True)
            }
        numbers = tuple(sorted(held))
        return numbers, np.array([held[number] for number in numbers])

    def masses(self, report: Report) -> Array:
        """How much each counts in the first number of the fitness (N,): less than nothing where a
        report says that lower is better."""
        total = sum(self.weights.values())
        each = [
            weight / total / self.sizes[task] * (1 if report.tasks[task].higher_is_better else -1)
            for task, weight in self.weights.items()
        ]
        masses: Array = np.array(each)[self.groups]
        return masses
