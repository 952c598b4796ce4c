"""What stands below the tables of a comparison: fitness by split, what was lost, what it took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile

from evomerge.study.comparison_table import ComparisonTable
from evomerge.value import Value
from evomerge.wording import count

__all__ = [
    "FitnessBySplit",
    "Loss",
    "SearchCost",
    "TriedStrength",
    "TunedBaseline",
    "Tuning",
    "comment_on_test_sets",
    "losses",
    "named_in_comments",
    "on_test_sets",
]


class FitnessBySplit(Value):
    """The winner's fitness where it was searched, chosen and judged."""

    search: float | None
    """None for a finalist that the search did not score: an optimizer's recommendation."""
    validation: float
    holdout: float

    def to_text(self, model: str, margin: float | None) -> str:
        """One line, with a word where the holdout lies clearly below the search split.

        `margin`: how far the upper end of the holdout's 95 % interval lies above its mean; None
        where there is no interval.
        """
        named = {"search": self.search, "validation": self.validation, "holdout": self.holdout}
        numbers = ", ".join(
            f"{split} not scored" if value is None else f"{split} {value:.3f}"
            for split, value in named.items()
        )
        line = f"fitness of {model}: {numbers}"
        if margin is not None and self.search is not None and self.search > self.holdout + margin:
            line += (
                "; the holdout is clearly below the search split: part of that score was the luck"
                " of being picked among many"
            )
        return line


class Loss(Value):
    """A task at which a model that went into the merge is better than the winner, beyond chance."""

    task: str
    model: str
    """The best of them."""
    before: float
    """Its score, in the task's metric."""
    after: float
    """The winner's."""

    def __str__(self) -> str:
        return f"{self.task} {self.before:.3f} ({self.model}) -> {self.after:.3f}"


def losses(tables: Iterable[ComparisonTable], models: Sequence[str]) -> tuple[Loss, ...]:
    """Of each task, the best of the models that the winner is behind by a whole 95 % interval."""
    lost = []
    for table in tables:
        winner, *others = table.rows
        ahead = {
            row.model: row
            for row in others
            if row.model in models
            and row.ahead is not None
            and max(table.sign * row.ahead.low, table.sign * row.ahead.high) < 0
        }
        if ahead:
            best = max(ahead.values(), key=lambda row: table.sign * row.value)
            lost.append(
                Loss(task=table.task, model=best.model, before=best.value, after=winner.value)
            )
    return tuple(lost)


_BEFORE, _AFTER = "found on public test data (", "): its scores there are no claim to any rank"


def on_test_sets(named: Sequence[str]) -> str:
    """The sentence that a search on public test sets is told by. `named`: as an evaluator says."""
    where = " ".join("; ".join(named).split())
    return f"{_BEFORE}{where}{_AFTER}"


def comment_on_test_sets(named: Sequence[str]) -> str:
    """The same as a comment line for the head of a YAML file; "" where there is nothing to say."""
    return f"# {on_test_sets(named)}\n" if named else ""


def named_in_comments(text: str) -> tuple[str, ...]:
    """The public test sets that such a sentence names in the comments at the head of a file."""
    head = takewhile(lambda line: line.startswith("#"), text.splitlines())
    said = [line.removeprefix("#").strip() for line in head]
    return tuple(
        line[len(_BEFORE) : -len(_AFTER)]
        for line in said
        if line.startswith(_BEFORE) and line.endswith(_AFTER)
    )


class SearchCost(Value):
    """What the candidates of a search took, each recipe counted once."""

    label: str
    """The row of its winner in the tables."""
    evaluations: int
    examples: int
    """Examples that were scored, all candidates together."""
    whole: int
    """Examples of a candidate that was scored on all."""
    tokens_read: int | None
    """Tokens of prompts and texts; None where not all was counted."""
    tokens_generated: int | None
    """Tokens of answers."""

    @property
    def wholes(self) -> float:
        """As many candidates scored on all examples would have taken as much."""
        return self.examples / self.whole if self.whole else float(self.evaluations)

    def __str__(self) -> str:
        return (
            f"{self.label}: {count(self.evaluations, 'model')} scored, {self.examples:,} examples,"
            f" {_tokens(self.tokens_read, self.tokens_generated)}"
        )


def _tokens(read: int | None, generated: int | None) -> str:
    if read is None or generated is None:
        return "tokens were not counted"
    return f"{read:,} tokens read, {generated:,} generated"


class TriedStrength(Value):
    """A strength of task arithmetic, and the fitness that it had on the validation split."""

    strength: float
    fitness: float | None
    """None where it could not be scored."""


class TunedBaseline(Value):
    """A baseline whose strength was chosen on the validation split."""

    label: str
    """Its row in the tables."""
    tried: tuple[TriedStrength, ...]


class Tuning(Value):
    """Baselines that were tuned, and what tuning took."""

    baselines: tuple[TunedBaseline, ...]
    evaluations: int
    """Models that were scored on the validation split, each once."""
    examples: int
    """Examples that were scored, all evaluations together."""
    tokens_read: int | None
    """Tokens of prompts and texts that were given to the models; None where not all was counted."""
    tokens_generated: int | None
    """Tokens that they answered."""

    def __str__(self) -> str:
        tried = dict.fromkeys(at.strength for own in self.baselines for at in own.tried)
        grid = ", ".join(f"{strength:g}" for strength in tried)
        tokens = _tokens(self.tokens_read, self.tokens_generated)
        return (
            f"task arithmetic tuned on the validation split over {grid}: {self.evaluations} models"
            f" scored, {self.examples:,} examples, {tokens}"
        )
