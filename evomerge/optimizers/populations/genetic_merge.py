"""A plain genetic algorithm over members that are crossed: natural niches without niches."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from evomerge.optimizers.populations.archive import Archive
from evomerge.optimizers.populations.config import PopulationConfig
from evomerge.optimizers.populations.crossing import CrossingConfig
from evomerge.optimizers.populations.crossings import crossing_of
from evomerge.optimizers.populations.niches import Niches
from evomerge.optimizers.populations.population import Member
from evomerge.optimizers.populations.steady import SteadyState
from evomerge.optimizers.problem import Problem

__all__ = ["GeneticMerge", "GeneticMergeConfig"]


class GeneticMergeConfig(PopulationConfig, CrossingConfig):
    """Merges bred without niches: parents are drawn by fitness, the worst is replaced."""

    kind: Literal["genetic_merge"] = "genetic_merge"
    citation: ClassVar[str] = "The baseline of Abrantes et al. 2025, arXiv 2508.16204, section 4.1"
    archive: Annotated[int, Field(ge=2)] = 20
    """Number of members."""
    shift: bool = False
    """Count scores from the worst that a member has on an example."""
    warm_up: Annotated[int, Field(ge=0)] = 0
    """Number of random merges of seeds that come before the archive breeds."""

    def population(self) -> Niches[Any]:
        """An empty archive, without competition."""
        archive: Archive[Member[Any]] = Archive(
            self.archive, alpha=0.0, capacity=False, shift=self.shift
        )
        return Niches(archive, attraction=False, negative=self.shift)

    def drawn(self) -> tuple[str, str]:
        """Both parents are drawn in the same way."""
        return "by fitness", "by fitness"

    def random_merges(self) -> int:
        """The warm-up."""
        return self.warm_up


class GeneticMerge(SteadyState[object]):
    """The baseline of 2508.16204: an archive without competition (alpha = 0) and attraction.

    A member's fitness is then the sum of its examples' scores.
    """

    config = GeneticMergeConfig

    def __init__(self, config: GeneticMergeConfig, problem: Problem) -> None:
        problem.require_one_objective("genetic_merge")
        crossing = crossing_of(config, problem, "genetic_merge", holds=config.archive)
        population: Niches[object] = config.population()
        self.archive = population.archive
        super().__init__(
            problem,
            crossing,
            population,
            warm_up=config.warm_up,
            needs={"examples"},
            places=config.archive,
        )
