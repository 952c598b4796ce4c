"""What a job says of its objective: what counts, and what has to be kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from evomerge.errors import ConfigError, did_you_mean
from evomerge.evaluators.constraint import read_constraint
from evomerge.evaluators.quantities import COSTS, Cost
from evomerge.value import Value

__all__ = ["ObjectiveConfig"]


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
    """What one unit is worth in score: layers, parameters and generated tokens are subtracted,
    tokens per second added."""

    @model_validator(mode="after")
    def _laws(self) -> ObjectiveConfig:
        for key, names in (("also", self.also), ("objectives", self.objectives)):
            for place, name in enumerate(names):
                if name in names[:place]:
                    raise ValueError(f"{key}: {name!r} stands there twice")
        for name in self.objectives:
            if name in self.also:
                raise ValueError(f"{name!r} stands under objectives and under also; name it once")
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

    def check_tasks(self, weights: Mapping[str, float], watched: Collection[str] = ()) -> None:
        """Whether what it names is scored in the search.

        Args:
            weights: task -> its weight in the evaluator, those that count.
            watched: tasks of weight 0, which are scored on the holdout only.

        Raises:
            ConfigError: a task or a cost is not there.
        """
        for name in self.objectives:
            if name in watched:
                raise ConfigError(f"objective.objectives: {_not_counted(name)}; give it a weight")
            _check_known(name, weights, "objective.objectives")
        for written in self.constraints:
            name, key = read_constraint(written).name, f"objective.constraints: {written!r}"
            if name in watched:
                raise ConfigError(f"{key}: {_not_counted(name)}; {_counted_beside(list(weights))}")
            _check_known(name, weights, key)


def _check_known(name: str, weights: Mapping[str, float], key: str) -> None:
    known = [*weights, *COSTS]
    if name not in known:
        raise ConfigError(
            f"{key}: no task that counts and no cost is called {name!r};"
            f" {did_you_mean(name, known)}"
        )


def _not_counted(task: str) -> str:
    return f"the task {task!r} has weight 0, and is scored on the holdout only"


def _counted_beside(others: Sequence[str]) -> str:
    """How a task is scored in the search without being searched for."""
    if len(others) == 1:
        return f"give it a weight, and say objectives: [{others[0]}], so that it is not maximised"
    return "give it a small weight, such as 0.001, which leaves the mean nearly as it is"
