"""The order in which candidates meet the examples of the search split: the same for all."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from evomerge.errors import ConfigError
from evomerge.evaluators.base import Report, Selection
from evomerge.searching.schedules.settings import SavingConfig

__all__ = ["ExampleOrder"]


class ExampleOrder:
    """A seeded permutation of each task's examples; a part has its share of every task.

    So any two candidates that came equally far have been scored on the same examples.
    """

    def __init__(
        self,
        config: SavingConfig,
        *,
        sizes: Mapping[str, int],
        tasks: Mapping[str, float],
        seed: int,
    ) -> None:
        """`sizes`: task -> examples of the search split; `tasks`: those that count.

        Raises:
            ConfigError: it is not known how many examples a task has.
        """
        counting = sorted(name for name, weight in tasks.items() if weight > 0)
        for name in counting:
            if name not in sizes:
                raise ConfigError(
                    f"schedule: {config.kind} asks parts of the search split, and how many examples"
                    f" {name!r} has there is not known before a worker loads them; give its split a"
                    " limit, or take {schedule: whole}"
                )
        draws = np.random.default_rng([seed, 17])
        orders = {name: [int(i) for i in draws.permutation(sizes[name])] for name in counting}
        # The first of each task, since an objective wants them all, then each task evenly.
        ranked = [
            ((turn and (turn + 0.5) / len(order)), name, place)
            for name, order in orders.items()
            for turn, place in enumerate(order)
        ]
        self._order = [(name, place) for _, name, place in sorted(ranked)]
        self.total, self._tasks, self._batch = len(self._order), len(orders), config.batch

    def rounded(self, examples: float) -> int:
        """So many examples as whole batches: one of each task at least, at most all."""
        wanted = max(examples, self._tasks)
        return min(math.ceil(wanted / self._batch) * self._batch, self.total)

    def first(self, examples: int) -> Selection:
        """The examples that every candidate has met after so many."""
        return self.between(0, examples)

    def between(self, scored: int, examples: int) -> Selection:
        """Those that are left until then of one that was scored on so many."""
        part: dict[str, list[int]] = {}
        for name, place in self._order[scored:examples]:
            part.setdefault(name, []).append(place)
        return {name: tuple(sorted(places)) for name, places in sorted(part.items())}

    def has_all(self, report: Report) -> bool:
        """Whether nothing is left."""
        return report.places is None or self.scored(report.places) == self.total

    def scored(self, places: Selection) -> int:
        """How many examples that are."""
        return sum(map(len, places.values()))
