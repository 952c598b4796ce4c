"""What is known from candidates that were scored on everything, and what it says of the others."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean

from evomerge.errors import ConfigError
from evomerge.evaluators.base import Report
from evomerge.evaluators.objective import Objective
from evomerge.evaluators.selection import part_of
from evomerge.searching.schedules.examples import ExampleOrder
from evomerge.searching.schedules.settings import SavingConfig

__all__ = ["KnownWhole", "ranking"]


def ranking(config: SavingConfig, objective: Objective) -> Callable[[Report], float]:
    """Report -> the one number that candidates are ranked by.

    Raises:
        ConfigError: the objective has several.
    """
    if len(objective.names) > 1:
        raise ConfigError(
            f"schedule: {config.kind} ranks candidates by one number, and the objective has"
            f" {', '.join(objective.names)}; take {{schedule: whole}}, or give"
            f" {objective.names[1]} a price"
        )
    return lambda report: objective(report)[0]


class KnownWhole:
    """Some examples are easier than others: those that were scored on all of them tell by how much
    the score of any candidate is about to change from its first examples to all.

    The landmarks are always among them. Among candidates that were scored on the same examples the
    estimate keeps their order.
    """

    def __init__(self, order: ExampleOrder, rank: Callable[[Report], float]) -> None:
        self._order, self._rank = order, rank
        self._reports: dict[int, Report] = {}
        self._changes: dict[tuple[int, int], float] = {}

    def add(self, candidate: int, report: Report) -> None:
        """Take in a report over all examples."""
        self._reports.setdefault(candidate, report)

    def estimate(self, so_far: Report, scored: int) -> float:
        """The fitness that one with this report over the first `scored` examples would have."""
        value = self._rank(so_far)
        if not self._reports:
            return value
        return value + fmean(self._change(number, scored) for number in self._reports)

    def _change(self, number: int, scored: int) -> float:
        key = number, scored
        if key not in self._changes:
            whole = self._reports[number]
            first = part_of(whole, self._order.first(scored))
            self._changes[key] = self._rank(whole) - self._rank(first)
        return self._changes[key]
