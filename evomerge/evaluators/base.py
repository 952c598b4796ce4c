"""The evaluator contract: benchmark tasks over an engine, scores example by example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from evomerge.evaluators.live_model import LiveModel
from evomerge.value import Value

__all__ = ["SPLITS", "Evaluator", "Failure", "Outcome", "Report", "Split", "TaskScore"]

Split = Literal["search", "validation", "holdout"]
SPLITS: tuple[Split, ...] = ("search", "validation", "holdout")


class TaskScore(Value):
    """One task's metric: its value over all examples, and each example's own score, in order."""

    metric: str
    value: float
    examples: tuple[float, ...]
    higher_is_better: bool = True


class Report(Value):
    """What an evaluation found."""

    split: Split
    tasks: Mapping[str, TaskScore]
    truncated: float = 0.0
    """Share of generations cut off by the token limit: a score that hides them fools a search."""
    seconds: Mapping[str, float] = {}
    """Wall time by phase: merge, load, evaluate."""
    costs: Mapping[str, float] = {}
    """What running the model takes: `layers` run for a token, `tokens_per_second` generated."""


class Failure(Value):
    """Why there is no report. A failure is never a score."""

    cause: Literal["candidate", "infrastructure"]
    message: str


Outcome = Report | Failure


class Evaluator(Protocol):
    """Scores whatever model the engine holds at the moment; owns the requests, built once."""

    def evaluate(self, engine: LiveModel, split: Split) -> Report:
        """Run the split's examples.

        On `holdout`, every task; on the others, which choose, those that the objective weighs.
        """
