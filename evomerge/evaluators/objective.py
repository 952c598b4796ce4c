"""The objective: report -> fitness. Every component of a fitness is maximised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evomerge.errors import CandidateError
from evomerge.evaluators.base import Report

__all__ = ["Objective"]


@dataclass(frozen=True)
class Objective:
    """The weighted mean of the tasks' values; a task where lower is better counts negatively."""

    weights: Mapping[str, float]

    def __call__(self, report: Report) -> tuple[float, ...]:
        """One number.

        Raises:
            CandidateError: a weighed task is missing from the report.
        """
        total = 0.0
        for task, weight in self.weights.items():
            if weight == 0:
                continue
            if task not in report.tasks:
                raise CandidateError(f"the report lacks the task {task!r}")
            score = report.tasks[task]
            total += weight * (score.value if score.higher_is_better else -score.value)
        return (total / sum(self.weights.values()),)
