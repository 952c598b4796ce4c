"""The objective: report -> fitness. Every component of a fitness is maximised."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from evomerge.errors import CandidateError, ConfigError, UserError, did_you_mean
from evomerge.evaluators.base import Report, TaskScore
from evomerge.evaluators.constraint import BASE, Constraint, read_constraint
from evomerge.evaluators.references import ReferenceScores
from evomerge.value import Value

__all__ = ["Cost", "Objective", "ObjectiveConfig", "natural", "quantities"]

Cost = Literal["layers", "tokens_generated", "tokens_per_second"]

_COSTS: tuple[Cost, ...] = get_args(Cost)
_SIGNS: Mapping[str, int] = {
    "layers": -1,
    "tokens_generated": -1,
    "tokens_per_second": 1,
}
"""More tokens per second are better, more layers are not."""

Fitness = tuple[float, ...]


class ObjectiveConfig(Value):
    """What counts, and how it becomes one number or several."""

    objectives: tuple[str, ...] = ()
    """Tasks and costs that are each a number of the fitness. Left out: one number made of all tasks
    that have a weight. A task where lower is better is minimised; the evaluator says so."""
    combine: Literal["mean", "worst"] = "mean"
    """How several tasks become one number: their weighted mean, or the worst of them. With
    `objectives` it chooses the winner among the finalists."""
    relative_to: Literal["base", "parents"] | None = None
    """Scores of tasks as they are, or such that the base has 0: as a share of the base's own score
    (`base`), or of what the best parent has more than the base at that task (`parents`)."""
    constraints: tuple[str, ...] = ()
    """What a candidate must keep: `json >= 0.95 * base`, `prose <= 1.05 * parents`, `layers <= 30`.
    One that breaks one is behind all that break none."""
    also: tuple[Cost, ...] = ()
    """Objectives of their own: the fitness has several numbers, and the optimizer must take them.
    """
    prices: Mapping[Cost, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """What one unit is worth in score: layers are subtracted, tokens per second added."""

    @model_validator(mode="after")
    def _laws(self) -> ObjectiveConfig:
        for key, names in (("also", self.also), ("objectives", self.names)):
            if len(set(names)) != len(names):
                raise ValueError(f"{key}: an objective stands there twice")
        if self.objectives and self.prices:
            raise ValueError(
                "prices: go with one number made of all tasks; name the costs under objectives, or"
                " leave objectives out"
            )
        for written in self.constraints:
            try:
                read_constraint(written)
            except ValueError as problem:
                raise ValueError(f"constraints: {problem}") from None
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Of the fitness's numbers."""
        return (*(self.objectives or ("fitness",)), *self.also)

    def check_tasks(self, weights: Mapping[str, float]) -> None:
        """Whether what it names is scored in the search.

        `weights`: task -> its weight in the evaluator, those that count.

        Raises:
            ConfigError: a task or a cost is not there.
        """
        known = [*weights, *_COSTS]
        for name in self.objectives:
            if name not in known:
                raise ConfigError(
                    f"objective.objectives: no task that counts and no cost is called {name!r};"
                    f" {did_you_mean(name, known)}"
                )
        for written in self.constraints:
            name = read_constraint(written).name
            if name not in known:
                raise ConfigError(
                    f"objective.constraints: {written!r}: no task that counts and no cost is called"
                    f" {name!r}; {did_you_mean(name, known)}"
                )


@dataclass(frozen=True)
class Objective:
    """The weighted mean of the tasks' values (a task where lower is better counts negatively), less
    the prices of what the model costs; then the further objectives, each by itself. Or each of the
    tasks and costs that the job names by itself.
    """

    weights: Mapping[str, float]
    config: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    references: ReferenceScores = field(default_factory=ReferenceScores)
    """What base and parents scored, where the objective refers to them."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the fitness's numbers."""
        return self.config.names

    @cached_property
    def constraints(self) -> tuple[Constraint, ...]:
        """What a candidate must keep."""
        return tuple(read_constraint(written) for written in self.config.constraints)

    @property
    def models(self) -> tuple[str, ...]:
        """The sources whose scores have to be known, each once.

        Raises:
            ConfigError: a word stands for none of them.
        """
        words = {
            f"objective.constraints: {constraint.written!r}": [constraint.model]
            for constraint in self.constraints
            if constraint.model is not None
        }
        if self.config.relative_to is not None:
            words["objective.relative_to"] = list(dict.fromkeys([BASE, self.config.relative_to]))
        named: list[str] = []
        for key, own in words.items():
            for word in own:
                models = self.references.models(word)
                if not models and word == BASE:
                    raise ConfigError(f"{key}: the search space has no base; name one there")
                if not models:
                    known = ["base", "parents", *self.references.parents]
                    raise ConfigError(
                        f"{key}: {word!r} is no model of the search; {did_you_mean(word, known)}"
                    )
                named += models
        return tuple(dict.fromkeys(named))

    def __call__(self, report: Report) -> Fitness:
        """One number, and one for each further objective.

        Raises:
            CandidateError: a weighed task or a cost is missing from the report.
        """
        costs = tuple(_cost(report, name) for name in self.config.also)
        if self.config.objectives:
            own = tuple(self._number(report, name) for name in self.config.objectives)
            return (*own, *costs)
        prices = (price * _cost(report, name) for name, price in self.config.prices.items())
        return (self._combined(lambda task: self._task(report, task)) + sum(prices), *costs)

    def overall(self, fitness: Fitness) -> float:
        """The one number by which finalists are compared: of objectives that are tasks their
        weighted mean or the worst of them, else the first."""
        named = dict(zip(self.names, fitness, strict=True))
        if not any(task in named for task in self.weights):
            return fitness[0]
        return self._combined(named.__getitem__, among=named)

    def violations(self, report: Report) -> tuple[float, ...]:
        """By how much each constraint is missed, as a share of what is wanted; 0 or less: it is
        met.

        Raises:
            CandidateError: a task or a cost is missing from the report.
        """
        return tuple(
            constraint.violation(*self._compared(constraint, report))
            for constraint in self.constraints
        )

    def said(self, report: Report, *, met: bool = False) -> list[str]:
        """A phrase for each constraint that the report breaks; with `met`, for the others too."""
        phrases = []
        for constraint, missed in zip(self.constraints, self.violations(report), strict=True):
            if met or missed > 0:
                phrases.append(constraint.said(*self._compared(constraint, report)))
        return phrases

    def check_references(self, report: Report) -> None:
        """Whether scores can be relative to what base and parents scored.

        `report`: of any model, which says in which direction a task is better.

        Raises:
            UserError: at a task there is no gap to measure by.
        """
        if (word := self.config.relative_to) is None:
            return
        for task in self.config.objectives or self.weights:
            if task in report.tasks:
                self.references.check(word, task, _sign(report.tasks[task]))

    def error(self, report: Report) -> Fitness | None:
        """How far each number of the fitness may be off, as one standard deviation, because a task
        is a mean over a sample of examples; costs and prices are counted, and not off at all, and
        neither are the scores that tasks are relative to.

        None where a task that counts is no mean of scores of at least two examples.
        """
        if self.config.objectives:
            each = [
                self._error(report, name) if name in self.weights else 0.0
                for name in self.config.objectives
            ]
            known_each = tuple(error for error in each if error is not None)
            if len(known_each) < len(each):
                return None
            return (*known_each, *(0.0 for _ in self.config.also))
        own = {name: self._error(report, name) for name, w in self.weights.items() if w != 0}
        known = {name: error for name, error in own.items() if error is not None}
        if len(known) < len(own):
            return None
        if self.config.combine == "worst":
            alone = known[min(known, key=lambda task: self._task(report, task))]
        else:
            variance = sum((self.weights[name] * error) ** 2 for name, error in known.items())
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

    def _combined(
        self, value: Callable[[str], float], among: Mapping[str, float] | None = None
    ) -> float:
        """Of the tasks that count (of those in `among`): the weighted mean, or the worst."""
        counting = {
            task: weight
            for task, weight in self.weights.items()
            if weight != 0 and (among is None or task in among)
        }
        values = {task: value(task) for task in counting}
        if self.config.combine == "worst":
            return min(values.values())
        total = 0.0
        for task, weight in counting.items():
            total += weight * values[task]
        return total / sum(counting.values())

    def _number(self, report: Report, name: str) -> float:
        """A task's score or a cost, such that more is better."""
        return self._task(report, name) if name in self.weights else _cost(report, name)

    def _task(self, report: Report, task: str) -> float:
        """Its score, such that more is better; relative where that is wanted."""
        if task not in report.tasks:
            raise CandidateError(f"the report lacks the task {task!r}")
        score = report.tasks[task]
        if (word := self.config.relative_to) is None:
            return score.value if score.higher_is_better else -score.value
        return self.references.relative(report.split, word, task, score.value, _sign(score))

    def _error(self, report: Report, task: str) -> float | None:
        """The standard error of a task's score, in the unit of the fitness."""
        if task not in report.tasks or (own := _error(report.tasks[task])) is None:
            return None
        if (word := self.config.relative_to) is None:
            return own
        return own / self.references.unit(report.split, word, task, _sign(report.tasks[task]))

    def _compared(self, constraint: Constraint, report: Report) -> tuple[float, float]:
        """What a model has where a constraint looks, and what it has to have."""
        name = constraint.name
        if name in self.weights:
            if name not in report.tasks:
                raise CandidateError(f"the report lacks the task {name!r}")
            value, sign = report.tasks[name].value, _sign(report.tasks[name])
        else:
            value, sign = _measured(report, name), _SIGNS[name]
        if constraint.model is None:
            return value, constraint.factor
        known = self.references.best(report.split, constraint.model, name, sign)
        return value, constraint.factor * known


def natural(objective: str, value: float, tasks: Mapping[str, float] | None = None) -> float:
    """A number of a fitness in its own unit: fewer layers are better, and are told as a count; a
    task where lower is better as the task has it.

    `tasks`: task -> its metric, of the candidate whose fitness it is.
    """
    is_lower = (tasks or {}).get(objective) == -value
    return -value if is_lower or _SIGNS.get(objective) == -1 else value


def quantities(report: Report) -> dict[str, float]:
    """Task or cost -> its value, of all that a report says."""
    costs = {name: _measured(report, name) for name in _COSTS if _has(report, name)}
    return {task: score.value for task, score in report.tasks.items()} | costs


def _sign(score: TaskScore) -> int:
    return 1 if score.higher_is_better else -1


def _cost(report: Report, name: str) -> float:
    """What the report says of a cost, such that more is better."""
    return _SIGNS[name] * _measured(report, name)


def _has(report: Report, name: str) -> bool:
    return name in report.costs or (name == "tokens_generated" and report.tokens is not None)


def _measured(report: Report, name: str) -> float:
    """A cost in its own unit; of generated tokens the mean of an example."""
    if name in report.costs:
        return report.costs[name]
    if name == "tokens_generated" and report.tokens is not None:
        examples = sum(len(task.examples) for task in report.tasks.values())
        return report.tokens.generated / max(examples, 1)
    raise CandidateError(f"the report does not say {name!r}")


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
