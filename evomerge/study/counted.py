"""Which of a comparison's tables the objective counts, and as what: what a verdict is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from evomerge.evaluators.base import Split, TaskScore
from evomerge.study.comparison_table import OBJECTIVE, ComparisonTable, is_mean, weighted_table
from evomerge.wording import count

__all__ = ["Counted"]


@dataclass(frozen=True)
class Counted:
    """One table, of the only task that counts or of the tasks' weighted mean; several where a task
    is no mean of its examples, so that the sum has no test."""

    tables: Mapping[str, ComparisonTable]
    factors: Mapping[str, float]
    """Table -> what its value is multiplied by in the objective."""
    weights: Mapping[str, float]
    """Task -> its weight, of those that count."""

    @classmethod
    def of(
        cls,
        tables: Mapping[str, ComparisonTable],
        scores: Mapping[str, Mapping[str, TaskScore]],
        weights: Mapping[str, float] | None,
        failed: Mapping[str, str],
    ) -> Self:
        """By the objective's weights; without any, all tasks count alike.

        `scores`: model -> task -> score, the winner first.
        """
        given = weights or dict.fromkeys(tables, 1.0)
        own = {task: given[task] for task in tables if given.get(task, 0.0) > 0}
        own = own or dict.fromkeys(tables, 1.0)
        if len(own) == 1:
            (task,) = own
            return cls({task: tables[task]}, {task: float(tables[task].sign)}, own)
        total = sum(own.values())
        factors = {task: tables[task].sign * weight / total for task, weight in own.items()}
        if all(is_mean(report[task]) for report in scores.values() for task in own):
            summed = weighted_table(factors, scores, failed)
            return cls({OBJECTIVE: summed}, {OBJECTIVE: 1.0}, own)
        return cls({task: tables[task] for task in own}, factors, own)

    def measure(self, split: Split) -> str:
        """What the scores are of, in words."""
        examples = sum(table.examples for table in self.tables.values())
        shared = [table.sources for table in self.tables.values() if table.sources is not None]
        scored = f"{examples} {split} examples"
        if len(shared) == len(self.tables) == 1:
            scored += f" from {count(shared[0], 'source')}"
        if OBJECTIVE not in self.tables:
            if len(self.tables) > 1:
                return f"on {scored}"
            (table,) = self.tables.values()
            better = "" if table.higher_is_better else ", lower is better,"
            return f"in {table.metric}{better} on {scored} of {table.task}"
        alike = len(set(self.weights.values())) == 1
        names = ", ".join(
            task if alike else f"{weight:g} x {task}" for task, weight in self.weights.items()
        )
        return f"in the mean of {names} on {scored}"
