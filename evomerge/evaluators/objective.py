"""The objective: report -> fitness. Every component of a fitness is maximised."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, model_validator

from evomerge.errors import CandidateError, UserError
from evomerge.evaluators.base import Report, TaskScore
from evomerge.value import Value

__all__ = ["Cost", "Objective", "ObjectiveConfig", "natural"]

Cost = Literal["layers", "tokens_per_second"]

_SIGNS: Mapping[str, int] = {"layers": -1, "tokens_per_second": 1}
"""More tokens per second are better, more layers are not."""


class ObjectiveConfig(Value):
    """What counts beside the tasks' scores."""

    also: tuple[Cost, ...] = ()
    """Objectives of their own: the fitness has several numbers, and the optimizer must take them.
    """
    prices: Mapping[Cost, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """What one unit is worth in score: layers are subtracted, tokens per second added."""

    @model_validator(mode="after")
    def _once(self) -> ObjectiveConfig:
        if len(set(self.also)) != len(self.also):
            raise ValueError("also: an objective stands there twice")
        return self


@dataclass(frozen=True)
class Objective:
    """The weighted mean of the tasks' values (a task where lower is better counts negatively), less
    the prices of what the model costs; then the further objectives, each by itself.
    """

    weights: Mapping[str, float]
    config: ObjectiveConfig = field(default_factory=ObjectiveConfig)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the fitness's numbers."""
        return ("fitness", *self.config.also)

    def __call__(self, report: Report) -> tuple[float, ...]:
        """One number, and one for each further objective.

        Raises:
            CandidateError: a weighed task or a cost is missing from the report.
        """
        total = 0.0
        for task, weight in self.weights.items():
            if weight == 0:
                continue
            if task not in report.tasks:
                raise CandidateError(f"the report lacks the task {task!r}")
            score = report.tasks[task]
            total += weight * (score.value if score.higher_is_better else -score.value)
        score_alone = total / sum(self.weights.values())
        prices = (price * _cost(report, name) for name, price in self.config.prices.items())
        return (score_alone + sum(prices), *(_cost(report, name) for name in self.config.also))

    def error(self, report: Report) -> tuple[float, ...] | None:
        """How far each number of the fitness may be off, as one standard deviation, because a task
        is a mean over a sample of examples; costs and prices are counted, and not off at all.

        None where a task that counts is no mean of scores of at least two examples.
        """
        variance = 0.0
        for name, weight in self.weights.items():
            if weight == 0:
                continue
            own = _error(report.tasks[name]) if name in report.tasks else None
            if own is None:
                return None
            variance += (weight * own) ** 2
        alone = math.sqrt(variance) / sum(self.weights.values())
        return (alone, *(0.0 for _ in self.names[1:]))

    def scores(self, report: Report) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Of each example, and of each task, of the tasks that count: tasks by name, and an example
        counts as much as any other, whatever its task's weight. Higher is better throughout.

        Raises:
            UserError: a task has no scores of single examples.
        """
        names = sorted(name for name, weight in self.weights.items() if weight > 0)
        tasks = [report.tasks[name] for name in names]
        for name, task in zip(names, tasks, strict=True):
            if not task.examples:
                raise UserError(
                    f"the task {name!r} has no scores of single examples, and this optimizer"
                    " compares models by them; use another evaluator, or {kind: cma_es}"
                )
        signs = [1.0 if task.higher_is_better else -1.0 for task in tasks]
        examples = tuple(
            sign * score for sign, task in zip(signs, tasks, strict=True) for score in task.examples
        )
        return examples, tuple(sign * task.value for sign, task in zip(signs, tasks, strict=True))


def natural(objective: str, value: float) -> float:
    """A number of a fitness in its own unit: fewer layers are better, and are told as a count."""
    return -value if _SIGNS.get(objective) == -1 else value


def _cost(report: Report, name: Cost) -> float:
    """What the report says of a cost, such that more is better."""
    if name not in report.costs:
        raise CandidateError(f"the report does not say {name!r}")
    return _SIGNS[name] * report.costs[name]


def _error(task: TaskScore) -> float | None:
    """The standard error of a mean over examples: with one score of 0 and one of 1 added where all
    are equal, for a share of 0 or 1 is no certainty (Agresti & Coull 1998, Am. Stat. 52:119)."""
    scores = task.examples
    if len(scores) < 2 or task.mean != "arithmetic":
        return None
    weights = task.weights or (1.0,) * len(scores)
    total = sum(weights)
    mean = sum(w * x for w, x in zip(weights, scores, strict=True)) / total
    if not math.isclose(mean, task.value, rel_tol=1e-6, abs_tol=1e-6):
        return None
    if min(scores) == max(scores) and scores[0] in (0, 1):
        scores, weights, total = (*scores, 0.0, 1.0), (*weights, 1.0, 1.0), total + 2
        mean = sum(w * x for w, x in zip(weights, scores, strict=True)) / total
    # Of a weighted mean: each example's own share of the deviation (Cochran 1977, section 6.3).
    squares = sum((w * (x - mean)) ** 2 for w, x in zip(weights, scores, strict=True))
    return math.sqrt(squares * len(scores) / (len(scores) - 1)) / total
