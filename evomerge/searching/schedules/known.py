"""What is known from candidates that were scored on everything, and what it says of the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

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
        self._candidates: set[int] = set()
        self._reports: list[Report] = []
        self._changes: dict[int, _Changes] = {}
        """By the examples scored so far."""

    def add(self, candidate: int, report: Report) -> None:
        """Take in a report over all examples."""
        if candidate not in self._candidates:
            self._candidates.add(candidate)
            self._reports.append(report)

    def estimate(self, so_far: Report, scored: int) -> float:
        """The fitness that one with this report over the first `scored` examples would have."""
        value = self._rank(so_far)
        if not self._reports:
            return value
        changes = self._changes.setdefault(scored, _Changes())
        for report in self._reports[changes.number :]:
            first = part_of(report, self._order.first(scored))
            changes.add(self._rank(report) - self._rank(first))
        return value + changes.mean


@dataclass
class _Changes:
    """A mean of numbers that come one by one, rounded once: as if all were added up anew."""

    number: int = 0
    total: Fraction = Fraction(0)

    def add(self, change: float) -> None:
        self.number += 1
        self.total += Fraction(change)

    @property
    def mean(self) -> float:
        return float(self.total) / self.number
