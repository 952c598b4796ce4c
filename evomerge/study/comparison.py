"""The final table: the winner beside every model that it has to beat, on the same examples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from evomerge.errors import InfrastructureError
from evomerge.evaluators.base import Report, Split, TaskScore
from evomerge.study.statistics import Difference, Interval, holm, mean_interval, paired_difference
from evomerge.value import Value

__all__ = ["Comparison", "Row", "ComparisonTable"]


class Row(Value):
    """One model's score at a task."""

    model: str
    value: float
    """The task's metric."""
    interval: Interval | None
    """Around `value`; None where the metric is no mean over examples."""
    ahead: Difference | None
    """The winner's score minus this model's; None for the winner and where there is no interval."""
    p: float | None
    """`ahead.p`, corrected by Holm's method over the models of this table."""


class ComparisonTable(Value):
    """One task: the winner's row first, then the others in the order given."""

    task: str
    metric: str
    higher_is_better: bool
    examples: int
    rows: tuple[Row, ...]

    def to_rows(self) -> list[tuple[str, ...]]:
        """The table as text, a header first: to print, or to set as Markdown."""
        winner = self.rows[0].model
        header = ("model", self.metric, "95 % interval", f"{winner} ahead by", "95 % interval", "p")
        return [header, *(_cells(row) for row in self.rows)]


class Comparison(Value):
    """What the holdout says about the winner."""

    split: Split
    winner: str
    tables: tuple[ComparisonTable, ...]
    truncated: Mapping[str, float] = Field(default_factory=dict)
    """Model -> share of its answers that the token limit cut off, where that is not 0."""

    @classmethod
    def of(cls, reports: Mapping[str, Report], *, winner: str) -> Comparison:
        """Compare the winner with every other model, task by task.

        Args:
            reports: model -> its report, all by the same evaluator on the same split.
            winner: the model that the others are measured against.

        Raises:
            InfrastructureError: the winner has no report.
            ValueError: the reports are not of the same examples.
        """
        if winner not in reports:
            raise InfrastructureError(
                f"{winner!r} could not be scored: there is nothing to compare"
            )
        first = reports[winner]
        ordered = {winner: first, **reports}
        for model, report in ordered.items():
            if _shape(report) != _shape(first):
                raise ValueError(f"{model!r} and {winner!r} were not scored on the same examples")
        tables = tuple(
            _table(task, {model: report.tasks[task] for model, report in ordered.items()})
            for task in first.tasks
        )
        truncated = {
            model: report.truncated for model, report in ordered.items() if report.truncated > 0
        }
        return cls(split=first.split, winner=winner, tables=tables, truncated=truncated)

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` reads back to an equal comparison."""
        data: dict[str, Any] = json.loads(self.model_dump_json())
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Comparison:
        """The comparison that `to_json` wrote."""
        return cls.model_validate(data)

    def to_text(self) -> str:
        """All tables as plain text, at most some eighty columns wide."""
        parts = [f"{self.title(table)}\n{_aligned(table)}" for table in self.tables]
        return "\n\n".join([*parts, *self.remarks()])

    def remarks(self) -> list[str]:
        """What the tables do not show, a line each."""
        if not self.truncated:
            return []
        shares = ", ".join(f"{model} {share:.1%}" for model, share in self.truncated.items())
        return [f"answers cut off by the token limit: {shares}"]

    def title(self, table: ComparisonTable) -> str:
        """What a table is about, in one line."""
        better = "" if table.higher_is_better else " (lower is better)"
        tests = {row.ahead.test for row in table.rows if row.ahead}
        test = f"; p: {', '.join(sorted(tests))}, Holm-corrected" if tests else ""
        return f"{table.task}{better}, {table.examples} {self.split} examples{test}"


def _shape(report: Report) -> tuple[Split, dict[str, tuple[str, int]]]:
    tasks = {name: (task.metric, len(task.examples)) for name, task in report.tasks.items()}
    return report.split, tasks


def _table(task: str, scores: Mapping[str, TaskScore]) -> ComparisonTable:
    (_, best), *others = scores.items()
    ahead = {model: _ahead(best, score) for model, score in others}
    p_values = {model: difference.p for model, difference in ahead.items() if difference}
    corrected = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    rows = [
        Row(
            model=model,
            value=score.value,
            interval=mean_interval(score.examples) if _is_mean(score) else None,
            ahead=ahead.get(model),
            p=corrected.get(model),
        )
        for model, score in scores.items()
    ]
    return ComparisonTable(
        task=task,
        metric=best.metric,
        higher_is_better=best.higher_is_better,
        examples=len(best.examples),
        rows=tuple(rows),
    )


def _ahead(best: TaskScore, other: TaskScore) -> Difference | None:
    if not (_is_mean(best) and _is_mean(other)):
        return None
    return paired_difference(best.examples, other.examples)


def _is_mean(score: TaskScore) -> bool:
    """Whether the metric is the mean over examples: an interval around that mean says nothing of a
    corpus-wide metric, such as a perplexity."""
    if not score.examples:
        return False
    mean = sum(score.examples) / len(score.examples)
    return abs(mean - score.value) <= 1e-6 * max(1.0, abs(mean))


def _cells(row: Row) -> tuple[str, ...]:
    interval = f"{row.interval.low:.3f} to {row.interval.high:.3f}" if row.interval else ""
    if row.ahead is None:
        return (row.model, f"{row.value:.3f}", interval, "", "", "")
    ahead = f"{row.ahead.low:+.3f} to {row.ahead.high:+.3f}"
    p = "" if row.p is None else "<0.001" if row.p < 0.001 else f"{row.p:.3f}"
    return (row.model, f"{row.value:.3f}", interval, f"{row.ahead.mean:+.3f}", ahead, p)


def _aligned(table: ComparisonTable) -> str:
    rows = table.to_rows()
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)
