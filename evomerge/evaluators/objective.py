"""The objective: report -> fitness. Every component of a fitness is maximised."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from evomerge.errors import CandidateError, ConfigError, UserError, did_you_mean
from evomerge.evaluators.base import Report
from evomerge.evaluators.constraint import BASE, Constraint, read_constraint
from evomerge.evaluators.objective_config import ObjectiveConfig
from evomerge.evaluators.quantities import SIGNS, cost_of, measured, sign_of, standard_error
from evomerge.evaluators.references import ReferenceScores

__all__ = ["Objective"]

Fitness = tuple[float, ...]


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
    def counting(self) -> Mapping[str, float]:
        """Task -> its weight, of those that the first number of the fitness is made of: none where
        that is a cost."""
        if not self.config.objectives:
            return {task: weight for task, weight in self.weights.items() if weight > 0}
        first = self.config.objectives[0]
        return {first: 1.0} if first in self.weights else {}

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
        costs = tuple(cost_of(report, name) for name in self.config.also)
        if self.config.objectives:
            own = tuple(self._number(report, name) for name in self.config.objectives)
            return (*own, *costs)
        prices = (price * cost_of(report, name) for name, price in self.config.prices.items())
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

    def missed(self, report: Report) -> float:
        """By how much all constraints together are missed; 0: they are kept.

        Raises:
            CandidateError: a task or a cost is missing from the report.
        """
        return sum(violation for violation in self.violations(report) if violation > 0)

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
                self.references.check(word, task, sign_of(report.tasks[task]))

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
        return self._task(report, name) if name in self.weights else cost_of(report, name)

    def _task(self, report: Report, task: str) -> float:
        """Its score, such that more is better; relative where that is wanted."""
        if task not in report.tasks:
            raise CandidateError(f"the report lacks the task {task!r}")
        score = report.tasks[task]
        if (word := self.config.relative_to) is None:
            return score.value if score.higher_is_better else -score.value
        return self.references.relative(report.split, word, task, score.value, sign_of(score))

    def _error(self, report: Report, task: str) -> float | None:
        """The standard error of a task's score, in the unit of the fitness."""
        if task not in report.tasks or (own := standard_error(report.tasks[task])) is None:
            return None
        if (word := self.config.relative_to) is None:
            return own
        return own / self.references.unit(report.split, word, task, sign_of(report.tasks[task]))

    def _compared(self, constraint: Constraint, report: Report) -> tuple[float, float]:
        """What a model has where a constraint looks, and what it has to have."""
        name = constraint.name
        if name in self.weights:
            if name not in report.tasks:
                raise CandidateError(f"the report lacks the task {name!r}")
            value, sign = report.tasks[name].value, sign_of(report.tasks[name])
        else:
            value, sign = measured(report, name), SIGNS[name]
        if constraint.model is None:
            return value, constraint.factor
        known = self.references.best(report.split, constraint.model, name, sign)
        return value, constraint.factor * known
