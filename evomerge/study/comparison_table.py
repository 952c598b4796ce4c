"""One table of a comparison: every model's score at a task, and how far the winner is ahead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field

from evomerge.evaluators.base import MemberScore, TaskScore
from evomerge.study.combined import combined_difference, combined_interval
from evomerge.study.significance import holm
from evomerge.study.statistics import (
    Difference,
    Interval,
    mean_interval,
    paired_difference,
)
from evomerge.value import Value

__all__ = [
    "OBJECTIVE",
    "ComparisonTable",
    "Row",
    "is_mean",
    "p_text",
    "weighted_table",
    "task_table",
]

OBJECTIVE = "objective"
"""What the table of the weighted mean over several tasks is called."""


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
    members: Mapping[str, MemberScore] | None = Field(
        default=None, exclude_if=lambda held: held is None
    )
    """Of a group of tasks: each task's score."""


class ComparisonTable(Value):
    """One task: the winner's row first, then the others in the order given."""

    task: str
    metric: str
    higher_is_better: bool
    examples: int
    rows: tuple[Row, ...]
    sources: int | None = Field(default=None, exclude_if=lambda held: held is None)
    """How many the examples come from, where some share one."""
    failed: Mapping[str, str] = Field(default_factory=dict)
    """Model -> why it has no score."""

    @property
    def sign(self) -> int:
        """1 where a higher score is better, else -1."""
        return 1 if self.higher_is_better else -1

    def row(self, model: str) -> Row:
        """The row of a model that was scored.

        Raises:
            KeyError: it was not.
        """
        for row in self.rows:
            if row.model == model:
                return row
        raise KeyError(model)

    def to_rows(self) -> list[tuple[str, ...]]:
        """The table as text, a header first: to print, or to set as Markdown."""
        winner = self.rows[0].model
        header = ("model", self.metric, "95 % interval", f"{winner} ahead by", "95 % interval", "p")
        failed = [
            (model, f"failed: {' '.join(reason.split())}", "", "", "", "")
            for model, reason in self.failed.items()
        ]
        first, *others = self.rows
        members = [self._member(name) for name in first.members or {}]
        return [header, _cells(first), *members, *(_cells(row) for row in others), *failed]

    def _member(self, name: str) -> tuple[str, ...]:
        """A task of the group: the winner's score, and how far the best other model is behind."""
        own, *others = [
            (row.model, row.members[name].value) for row in self.rows if row.members is not None
        ]
        label, value = f"  - {name}", f"{own[1]:.3f}"
        if not others:
            return (label, value, "", "", "", "")
        best, score = max(others, key=lambda other: self.sign * other[1])
        return (label, value, "", f"{own[1] - score:+.3f}", f"of {best}", "")

    def to_text(self) -> str:
        """The rows in aligned columns; a reason may be as long as it is."""
        rows = self.to_rows()
        scored = rows[: len(rows) - len(self.failed)]
        widths = [max(map(len, column)) for column in zip(*scored, strict=True)]
        widths[0] = max([widths[0], *map(len, self.failed)])
        lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
        return "\n".join(lines)


def task_table(
    task: str, scores: Mapping[str, TaskScore], failed: Mapping[str, str]
) -> ComparisonTable:
    """The table of one task; the first of the models is the one that the others are measured by."""
    (_, best), *others = scores.items()
    ahead = {
        model: paired_difference(best.examples, score.examples, clusters=best.clusters)
        if is_mean(best) and is_mean(score)
        else None
        for model, score in others
    }
    intervals = {
        model: mean_interval(score.examples, best.clusters) if is_mean(score) else None
        for model, score in scores.items()
    }
    return ComparisonTable(
        task=task,
        metric=best.metric,
        higher_is_better=best.higher_is_better,
        examples=len(best.examples),
        sources=_sources(intervals),
        rows=_rows(
            {model: score.value for model, score in scores.items()},
            intervals,
            ahead,
            {model: score.members for model, score in scores.items()},
        ),
        failed=failed,
    )


def weighted_table(
    factors: Mapping[str, float],
    scores: Mapping[str, Mapping[str, TaskScore]],
    failed: Mapping[str, str],
) -> ComparisonTable:
    """The table of a weighted sum over tasks, each of which is a mean over its examples.

    Args:
        factors: task -> what its value is multiplied by, less than 0 where lower is better.
        scores: model -> task -> score; the first model is the one that the others are measured by.
    """
    (_, best), *others = scores.items()

    def parts(own: Mapping[str, TaskScore]) -> list[tuple[float, Sequence[float]]]:
        return [(factor, own[task].examples) for task, factor in factors.items()]

    clusters = [best[task].clusters for task in factors]
    ahead = {
        model: combined_difference(
            [(factor, best[task].examples, own[task].examples) for task, factor in factors.items()],
            clusters=clusters,
        )
        for model, own in others
    }
    values = {
        model: sum(factor * own[task].value for task, factor in factors.items())
        for model, own in scores.items()
    }
    intervals = {model: combined_interval(parts(own), clusters) for model, own in scores.items()}
    return ComparisonTable(
        task=OBJECTIVE,
        metric="weighted mean",
        higher_is_better=True,
        examples=sum(len(best[task].examples) for task in factors),
        sources=_sources(intervals),
        rows=_rows(values, intervals, ahead),
        failed=failed,
    )


def is_mean(score: TaskScore) -> bool:
    """Whether the metric is the mean over examples: an interval around that mean says nothing of a
    corpus-wide metric, such as a perplexity."""
    if not score.examples:
        return False
    mean = sum(score.examples) / len(score.examples)
    return abs(mean - score.value) <= 1e-6 * max(1.0, abs(mean))


def _sources(intervals: Mapping[str, Interval | None]) -> int | None:
    return next((held.sources for held in intervals.values() if held is not None), None)


def p_text(p: float) -> str:
    """A p-value as tables have it."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _rows(
    values: Mapping[str, float],
    intervals: Mapping[str, Interval | None],
    ahead: Mapping[str, Difference | None],
    members: Mapping[str, Mapping[str, MemberScore] | None] | None = None,
) -> tuple[Row, ...]:
    p_values = {model: difference.p for model, difference in ahead.items() if difference}
    corrected = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    return tuple(
        Row(
            model=model,
            value=value,
            interval=intervals[model],
            ahead=ahead.get(model),
            p=corrected.get(model),
            members=(members or {}).get(model),
        )
        for model, value in values.items()
    )


def _cells(row: Row) -> tuple[str, ...]:
    interval = f"{row.interval.low:.3f} to {row.interval.high:.3f}" if row.interval else ""
    if row.ahead is None:
        return (row.model, f"{row.value:.3f}", interval, "", "", "")
    ahead = f"{row.ahead.low:+.3f} to {row.ahead.high:+.3f}"
    p = "" if row.p is None else p_text(row.p)
    return (row.model, f"{row.value:.3f}", interval, f"{row.ahead.mean:+.3f}", ahead, p)
