"""A plain genetic algorithm over members that are crossed: natural niches without niches."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from evomerge.optimizers.populations.archive import Archive
from evomerge.optimizers.populations.crossing import CrossingConfig
from evomerge.optimizers.populations.crossings import crossing_of
from evomerge.optimizers.populations.natural_niches import Niches
from evomerge.optimizers.populations.population import Member
from evomerge.optimizers.populations.steady import SteadyState
from evomerge.optimizers.problem import Problem

__all__ = ["GeneticMerge", "GeneticMergeConfig", "crowd"]


class GeneticMergeConfig(CrossingConfig):
    """Merges bred without niches: parents are drawn by fitness, the worst is replaced."""

    kind: Literal["genetic_merge"] = "genetic_merge"
    archive: Annotated[int, Field(ge=2)] = 20
    """Members."""
    shift: bool = False
    """Whether scores count from the worst that a member has on an example."""
    warm_up: Annotated[int, Field(ge=0)] = 0
    """Random merges of the seeds that come first."""


class GeneticMerge(SteadyState[object]):
    """The baseline of 2508.16204: an archive without competition (alpha = 0) and attraction.

    A member's fitness is then the sum of its examples' scores.
    """

    def __init__(self, config: GeneticMergeConfig, problem: Problem) -> None:
        problem.require_one_objective("genetic_merge")
        crossing = crossing_of(config, problem, "genetic_merge", holds=config.archive)
        self.archive: Archive[Member[object]] = crowd(config)
        population = Niches(self.archive, crossing, attraction=False, negative=config.shift)
        super().__init__(problem, crossing, population, warm_up=config.warm_up, needs={"examples"})


def crowd(config: GeneticMergeConfig) -> Archive[Any]:
    """An empty archive, without competition."""
    return Archive(config.archive, alpha=0.0, capacity=False, shift=config.shift)
