"""The final comparison: the winner beside every model that it has to beat, on the same examples."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from evomerge.errors import InfrastructureError
from evomerge.evaluators.base import Failure, Outcome, Report, Split
from evomerge.study.comparison_table import ComparisonTable, Row, is_mean, task_table
from evomerge.study.counted import Counted
from evomerge.study.power import Detectable, Paired
from evomerge.study.remarks import (
    FitnessBySplit,
    Loss,
    SearchCost,
    Tuning,
    losses,
    on_test_sets,
)
from evomerge.study.verdict import Contest, Verdict
from evomerge.value import Value
from evomerge.wording import count

__all__ = ["Comparison", "ComparisonTable", "Row"]


class Comparison(Value):
    """What the holdout says about the winner."""

    split: Split
    winner: str
    tables: tuple[ComparisonTable, ...]
    """A task each; where several tasks count, the table of their weighted mean comes last."""
    truncated: Mapping[str, float] = Field(default_factory=dict)
    """Model -> share of its answers that the token limit cut off, where that is not 0."""
    verdict: Verdict | None = None
    """The end of it in one sentence; None in records of earlier versions."""
    decided_by: str | None = None
    """The table that the verdict is about; None where it goes task by task."""
    same_as: str | None = None
    """The source that the winner is, where it is one of them and no new model."""
    failed: Mapping[str, Failure] = Field(default_factory=dict)
    """Model -> why it could not be scored."""
    fitness: FitnessBySplit | None = None
    """The winner's fitness on the three splits."""
    lost: tuple[Loss, ...] = ()
    """What a parent does better than the winner, beyond chance."""
    tuning: Tuning | None = None
    """How the baselines' strength was tuned, and what that took."""
    detectable: Detectable | None = Field(default=None, exclude_if=lambda held: held is None)
    """The smallest difference that the split can show, as winner and parents differ on it."""
    test_sets: tuple[str, ...] = Field(default=(), exclude_if=lambda named: not named)
    """What of search and validation was a benchmark's own test set."""
    searches: tuple[SearchCost, ...] = Field(default=(), exclude_if=lambda held: not held)
    """What the search took, and each of the searches that it was compared with."""
    kept: tuple[str, ...] = Field(default=(), exclude_if=lambda held: not held)
    """Of each constraint, what the winner has on this split and what is wanted."""

    @classmethod
    def of(
        cls,
        outcomes: Mapping[str, Outcome],
        *,
        winner: str,
        weights: Mapping[str, float] | None = None,
        parents: tuple[str, ...] = (),
        base: str | None = None,
        same_as: str | None = None,
        fitness: FitnessBySplit | None = None,
        tuning: Tuning | None = None,
        searches: Sequence[SearchCost] = (),
        kept: Sequence[str] = (),
        remark: str = "",
        test_sets: Sequence[str] = (),
    ) -> Comparison:
        """Compare the winner with every other model, task by task.

        Args:
            outcomes: model -> its report, all by the same evaluator on the same split; or why
                there is none.
            winner: the model that the others are measured against.
            weights: task -> its weight in the objective; left out: all tasks alike.
            parents: the models that were merged.
            base: the model that they were made from.
            same_as: the one of them that the winner is.
            searches: what the search took, and what each that it is compared with.
            kept: a phrase for each constraint of the objective.
            remark: what else counts in the objective and not here, for the verdict.
            test_sets: what of search and validation was a benchmark's own test set.

        Raises:
            UserError: the winner could not be scored.
            InfrastructureError: it was for want of a worker, or nobody tried.
            ValueError: the reports are not of the same examples.
        """
        reports = {model: out for model, out in outcomes.items() if isinstance(out, Report)}
        failed = {model: out for model, out in outcomes.items() if isinstance(out, Failure)}
        reasons = {model: failure.message for model, failure in failed.items()}
        if winner in failed:
            raise failed[winner].as_error(f"{winner!r} could not be scored: {reasons[winner]}")
        if winner not in reports:
            raise InfrastructureError(f"{winner!r} could not be scored: there is no report of it")
        first = reports[winner]
        ordered = {winner: first, **reports}
        for model, report in ordered.items():
            if _shape(report) != _shape(first):
                raise ValueError(f"{model!r} and {winner!r} were not scored on the same examples")
        scores = {model: report.tasks for model, report in ordered.items()}
        tables = {
            task: task_table(task, {model: own[task] for model, own in scores.items()}, reasons)
            for task in first.tasks
        }
        counted = Counted.of(tables, scores, weights, reasons)
        contest = Contest(
            winner=winner,
            tables=counted.tables,
            factors=counted.factors,
            measure=f"{counted.measure(first.split)}{remark}",
            same_as=same_as,
            parents=parents,
            base=base,
            failed=tuple(failed),
        )
        sources = (*parents, *([base] if base is not None else []))
        return cls(
            split=first.split,
            winner=winner,
            tables=tuple({**tables, **counted.tables}.values()),
            truncated={m: report.truncated for m, report in ordered.items() if report.truncated},
            verdict=contest.decide(),
            decided_by=next(iter(counted.tables)) if len(counted.tables) == 1 else None,
            same_as=same_as,
            failed=failed,
            fitness=fitness,
            lost=losses(tables.values(), sources),
            tuning=tuning,
            detectable=_detectable(reports, winner, parents, counted.weights),
            test_sets=tuple(test_sets),
            searches=tuple(searches),
            kept=tuple(kept),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` reads back to an equal comparison."""
        data: dict[str, Any] = json.loads(self.model_dump_json())
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Comparison:
        """The comparison that `to_json` wrote, in this or an earlier version."""
        return cls.model_validate(data)

    def to_text(self) -> str:
        """All tables as plain text, remarks, and in the end the verdict."""
        parts = [f"{self.title(table)}\n{table.to_text()}" for table in self.tables]
        if remarks := self.remarks():
            parts.append("\n".join(remarks))
        if self.verdict is not None:
            parts.append(self.verdict.sentence)
        return "\n\n".join(parts)

    def remarks(self) -> list[str]:
        """What the tables do not show, a line each; the verdict is not among them."""
        said = []
        if self.test_sets:
            said.append(on_test_sets(self.test_sets))
        if self.fitness is not None:
            said.append(self.fitness.to_text(self.winner, self._margin()))
        if self.lost:
            said.append(f"lost: {'; '.join(map(str, self.lost))}")
        if self.tuning is not None:
            said.append(str(self.tuning))
        if self.searches:
            said.append(f"searching took: {'; '.join(map(str, self.searches))}")
        if self.kept:
            said.append(f"constraints on the {self.split}: {'; '.join(self.kept)}")
        if self.truncated:
            shares = ", ".join(f"{model} {share:.1%}" for model, share in self.truncated.items())
            said.append(f"answers cut off by the token limit: {shares}")
        if self.detectable is not None:
            said.append(self.detectable.measured_text(self.split))
        return said

    def title(self, table: ComparisonTable) -> str:
        """What a table is about, in one line."""
        better = "" if table.higher_is_better else " (lower is better)"
        tests = {row.ahead.test for row in table.rows if row.ahead}
        test = f"; p: {', '.join(sorted(tests))}, Holm-corrected" if tests else ""
        shared = f" from {count(table.sources, 'source')}" if table.sources is not None else ""
        examples = f"{count(table.examples, f'{self.split} example')}{shared}"
        return f"{table.task}{better}, {examples}{test}"

    def _margin(self) -> float | None:
        """How far the winner's true fitness may lie above what the holdout says; None where the
        fitness is something else than the score that the verdict is about: with prices, say."""
        for table in self.tables:
            if table.task == self.decided_by and (interval := table.rows[0].interval):
                ends = (table.sign * interval.low, table.sign * interval.high)
                mean = table.sign * interval.mean
                is_same = self.fitness is None or math.isclose(
                    self.fitness.holdout, mean, rel_tol=1e-6, abs_tol=1e-6
                )
                return max(ends) - mean if is_same else None
        return None


def _detectable(
    reports: Mapping[str, Report],
    winner: str,
    parents: Sequence[str],
    weights: Mapping[str, float],
) -> Detectable | None:
    """By the differences between winner and parents, or all others where no parent was scored."""
    others = [name for name in parents if name in reports and name != winner]
    others = others or [name for name in reports if name != winner]
    paired: dict[str, Paired] = {}
    for task in weights:
        mine = reports[winner].tasks[task]
        theirs = [reports[name].tasks[task] for name in others]
        if theirs and all(map(is_mean, [mine, *theirs])) and (own := Paired.measured(theirs, mine)):
            paired[task] = own
    sizes = {name: len(task.examples) for name, task in reports[winner].tasks.items()}
    shows = Detectable.of(paired, sizes, weights, is_measured=True)
    return shows if shows is not None and shows.difference > 0 else None


def _shape(report: Report) -> tuple[Split, dict[str, tuple[str, int]]]:
    tasks = {name: (task.metric, len(task.examples)) for name, task in report.tasks.items()}
    return report.split, tasks
