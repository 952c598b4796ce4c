"""Natural niches (M2N2): members are crossed at split points, compete for examples, and a second
parent is drawn by what the first lacks.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from evomerge.optimizers.populations.crossings import crossing_of
from evomerge.optimizers.populations.niches import Niches, NichesConfig
from evomerge.optimizers.populations.steady import SteadyState
from evomerge.optimizers.problem import Problem

__all__ = ["NaturalNiches", "NaturalNichesConfig"]


class NaturalNichesConfig(NichesConfig):
    """M2N2 (Abrantes et al. 2025): an archive whose members compete for examples; steady-state."""

    kind: Literal["natural_niches"] = "natural_niches"
    citation: ClassVar[str] = (
        "Abrantes, Lange & Tang 2025, Competition and Attraction Improve Model Fusion, arXiv"
        " 2508.16204"
    )
    warm_up: Annotated[int, Field(ge=0)] = 0
    """Number of random merges of seeds that come before the archive breeds; the paper takes up to
    50 for language models."""

    def random_merges(self) -> int:
        """The warm-up."""
        return self.warm_up


class NaturalNiches(SteadyState[object]):
    """Abrantes, Lange and Tang, "Competition and Attraction Improve Model Fusion" (2508.16204),
    section 3, by way of the authors' released code (Apache-2.0, read, not copied).

    Fitness plays no part: what counts are the scores of examples, each as much as another.
    """

    config = NaturalNichesConfig

    def __init__(self, config: NaturalNichesConfig, problem: Problem) -> None:
        problem.require_one_objective("natural_niches")
        crossing = crossing_of(config, problem, "natural_niches", holds=config.archive)
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
