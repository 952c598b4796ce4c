"""The end of a comparison in one sentence: is the winner better than what one had before?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evomerge.study.comparison_table import ComparisonTable, Row, p_text
from evomerge.study.statistics import Difference
from evomerge.value import Value

__all__ = ["SIGNIFICANT", "Contest", "Verdict"]

SIGNIFICANT = 0.05
"""A p-value below it is taken to show a difference."""


class Verdict(Value):
    """Whether the winner is better than every parent and baseline, by a paired test."""

    sentence: str
    """All of it, to be printed."""
    best: str
    """The model with the best score; the winner's name where it is the winner."""
    is_better: bool
    """Whether the winner is shown to be better than all the others: it has the best score, and
    against each of them p < 0.05 after Holm's correction."""
    rival: str | None
    """The best of the others; None where there is none."""
    ahead: Difference | None
    """The winner's score minus the rival's, turned so that above 0 is better; None where the score
    is no mean over examples, so that there is no test."""
    p: float | None
    """`ahead.p` after Holm's correction over the models."""


@dataclass(frozen=True)
class Contest:
    """What is decided on: one table that counts, or the tables of all tasks that do."""

    winner: str
    tables: Mapping[str, ComparisonTable]
    """The tables of the tasks that count, or the one of their weighted mean."""
    factors: Mapping[str, float]
    """Table -> what its value counts in the objective, less than 0 where lower is better."""
    measure: str
    """What the scores are of, in words."""
    same_as: str | None = None
    """The model that the winner is, if it is one of those that there were."""
    parents: tuple[str, ...] = ()
    base: str | None = None
    failed: tuple[str, ...] = ()
    """Models that could not be scored."""

    def decide(self) -> Verdict:
        """The verdict; the tables are asked for nothing but the objective's own sum."""
        values = self._values()
        others = [model for model in values if model not in (self.winner, self.same_as)]
        if not others:
            return self._verdict(f"{self._winner_is()}there is nothing to compare it with", None)
        rival = max(others, key=lambda model: values[model])
        if len(self.tables) > 1:
            return self._task_by_task(rival, others, values)
        (table,) = self.tables.values()
        return self._by_one_table(table, rival, others, values)

    def _by_one_table(
        self, table: ComparisonTable, rival: str, others: list[str], values: Mapping[str, float]
    ) -> Verdict:
        mine, theirs = table.row(self.winner), table.row(rival)
        ahead = _turned(theirs.ahead, table.sign)
        against = f"{mine.value:.3f} against {theirs.value:.3f}"
        if ahead is None or theirs.p is None:
            figures = f"{against}, {self.measure}; no test, as it is no mean over examples"
            return self._untested(rival, figures, values)
        test = f"p = {p_text(theirs.p)} ({ahead.test}, Holm-corrected)".replace("= <", "< ")
        named = self._named(rival)
        if self.same_as is not None:
            sentence = (
                f"{self._winner_is()}it scores {mine.value:.3f}, and the best of the others,"
                f" {named}, {theirs.value:.3f}, {self.measure}"
            )
            return self._verdict(sentence, rival, values, ahead, theirs.p)
        if ahead.mean < 0:
            sentence = (
                f"{named} scores best, not {self.winner}: {theirs.value:.3f} against"
                f" {mine.value:.3f}, {self.winner} behind by {-ahead.mean:.3f}"
                f" ({-ahead.high:.3f} to {-ahead.low:.3f}), {test}, {self.measure}"
            )
            return self._verdict(sentence, rival, values, ahead, theirs.p)
        figures = (
            f"{against}, ahead by {ahead.mean:.3f} ({ahead.low:.3f} to {ahead.high:.3f}), {test},"
            f" {self.measure}"
        )
        best_of = named
        if len(others) > 1:
            best_of = f"the best of {len(others)} parents and baselines, {named}"
        unsure = [model for model in others if not _is_shown(table.row(model), table.sign)]
        if not unsure:
            sentence = f"{self.winner} is better than {best_of}: {figures}"
            return self._verdict(sentence, rival, values, ahead, theirs.p, is_better=True)
        if rival not in unsure:
            also = ", ".join(map(self._named, unsure))
            sentence = (
                f"{self.winner} is better than {best_of}, but is not shown to be better than"
                f" {also}: {figures}"
            )
            return self._verdict(sentence, rival, values, ahead, theirs.p)
        sentence = f"{self.winner} is not shown to be better than {best_of}: {figures}"
        return self._verdict(sentence, rival, values, ahead, theirs.p)

    def _task_by_task(self, rival: str, others: list[str], values: Mapping[str, float]) -> Verdict:
        """Where a task that counts is no mean over examples, or several are not to be summed."""
        said = []
        for task, table in self.tables.items():
            mine, theirs = table.row(self.winner), table.row(rival)
            p = self._over_tables(theirs)
            test = "no test" if p is None else f"p = {p_text(p)}".replace("= <", "< ")
            said.append(f"{task} {mine.value:.3f} against {theirs.value:.3f} ({test})")
        figures = f"task by task, {'; '.join(said)}, {self.measure}"
        unsure = [model for model in others if not self._wins_by_tasks(model)]
        if self.same_as is not None or rival in unsure:
            return self._untested(rival, figures, values)
        better = f"{self.winner} is better than {self._named(rival)}"
        if unsure:
            better += f", but is not shown to be better than {', '.join(map(self._named, unsure))}"
        return self._verdict(f"{better}: {figures}", rival, values, is_better=not unsure)

    def _wins_by_tasks(self, model: str) -> bool:
        """Whether the winner is better at a task, by the test, and worse at none."""
        wins = False
        for table in self.tables.values():
            theirs = table.row(model)
            gain = table.sign * (table.row(self.winner).value - theirs.value)
            if gain < 0:
                return False
            p = self._over_tables(theirs)
            wins |= gain > 0 and p is not None and p < SIGNIFICANT
        return wins

    def _over_tables(self, row: Row) -> float | None:
        """A row's p-value, corrected for the tables, too."""
        return None if row.p is None else min(1.0, row.p * len(self.tables))

    def _untested(self, rival: str, figures: str, values: Mapping[str, float]) -> Verdict:
        named = self._named(rival)
        if self.same_as is not None:
            sentence = f"{self._winner_is()}against {named}: {figures}"
        elif values[rival] > values[self.winner]:
            sentence = f"{named} scores best, not {self.winner}: {figures}"
        else:
            sentence = f"{self.winner} is not shown to be better than {named}: {figures}"
        return self._verdict(sentence, rival, values)

    def _verdict(
        self,
        sentence: str,
        rival: str | None,
        values: Mapping[str, float] | None = None,
        ahead: Difference | None = None,
        p: float | None = None,
        *,
        is_better: bool = False,
    ) -> Verdict:
        if self.failed:
            sentence += f"; not counted, because it could not be scored: {', '.join(self.failed)}"
        values = values or {self.winner: 0.0}
        best = self.winner
        if rival is not None and values[rival] > values[self.winner]:
            best = rival
        elif self.same_as is not None:
            best = self.same_as
        return Verdict(
            sentence=f"{sentence}.", best=best, is_better=is_better, rival=rival, ahead=ahead, p=p
        )

    def _values(self) -> dict[str, float]:
        """Model -> the objective's sum over the tables."""
        first = next(iter(self.tables.values()))
        return {
            row.model: sum(
                self.factors[name] * table.row(row.model).value
                for name, table in self.tables.items()
            )
            for row in first.rows
        }

    def _winner_is(self) -> str:
        if self.same_as is None:
            return f"{self.winner} stands alone: "
        return (
            f"{self.winner} is {self._named(self.same_as)} itself: no other finalist did better on"
            " the validation split; "
        )

    def _named(self, model: str) -> str:
        if model == self.base:
            return f"the base model {model}"
        return f"the parent {model}" if model in self.parents else model


def _turned(ahead: Difference | None, sign: int) -> Difference | None:
    """The difference such that above 0 is better."""
    if ahead is None or sign > 0:
        return ahead
    ends = {"mean": -ahead.mean, "low": -ahead.high, "high": -ahead.low}
    return ahead.model_copy(update=ends)


def _is_shown(row: Row, sign: int) -> bool:
    """Whether the winner is better than this model, by the test."""
    return (
        row.ahead is not None
        and row.p is not None
        and sign * row.ahead.mean > 0
        and row.p < SIGNIFICANT
    )
