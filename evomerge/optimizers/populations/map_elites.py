"""MAP-Elites over task scores: the best member of each profile of skills."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
from pydantic import Field, model_validator

from evomerge.optimizers.populations.config import PopulationConfig
from evomerge.optimizers.populations.crossing import CrossingConfig
from evomerge.optimizers.populations.crossings import crossing_of
from evomerge.optimizers.populations.grid import Elite, EliteGrid
from evomerge.optimizers.populations.population import Member, MemberScores
from evomerge.optimizers.populations.steady import SteadyState
from evomerge.optimizers.problem import Problem

__all__ = ["Elites", "MapElites", "MapElitesConfig"]

M = TypeVar("M")


class MapElitesConfig(PopulationConfig, CrossingConfig):
    """MAP-Elites (Mouret & Clune 2015): the best member of each cell of task scores is kept."""

    kind: Literal["map_elites"] = "map_elites"
    citation: ClassVar[str] = (
        "Mouret & Clune 2015, Illuminating search spaces by mapping elites, arXiv 1504.04909; as in"
        " arXiv 2508.16204"
    )
    bins: Annotated[int, Field(ge=1)] = 10
    """Cells along each task's scores; 2508.16204 takes 10 for small networks and 4 for language
    models."""
    scores: tuple[float, float] = (0.0, 1.0)
    """The range of scores that is cut into cells; scores outside fall into the nearest cell."""
    draw: Literal["even", "quality"] = "even"
    """How two elites are drawn: `even`: all with the same probability; `quality`: in proportion to
    their fitness, as the released code of 2508.16204 does (a fitness below 0 counts as 0)."""
    warm_up: Annotated[int, Field(ge=0)] = 0
    """Number of random merges of seeds that come before the grid breeds."""

    @model_validator(mode="after")
    def _range(self) -> MapElitesConfig:
        if self.scores[0] >= self.scores[1]:
            raise ValueError(f"scores: a range is [low, high], got {list(self.scores)}")
        return self

    def population(self) -> Elites[Any]:
        """A grid without elites."""
        return Elites(self)

    def drawn(self) -> tuple[str, str]:
        """Both parents are drawn in the same way."""
        return ("by fitness", "by fitness") if self.draw == "quality" else ("at random",) * 2

    def random_merges(self) -> int:
        """The warm-up."""
        return self.warm_up


class MapElites(SteadyState[object]):
    """The baseline of 2508.16204, sections 4.1 and 4.2: quality is the fitness, and behaviour the
    tasks' scores.
    """

    config = MapElitesConfig

    def __init__(self, config: MapElitesConfig, problem: Problem) -> None:
        problem.require_one_objective("map_elites")
        crossing = crossing_of(config, problem, "map_elites")
        self.elites: Elites[object] = config.population()
        super().__init__(problem, crossing, self.elites, warm_up=config.warm_up, needs={"tasks"})


class Elites(Generic[M]):
    """A grid as a population."""

    def __init__(self, config: MapElitesConfig) -> None:
        self._config = config
        self._grid: EliteGrid[Member[M]] | None = None
        self.version = 0

    @property
    def members(self) -> tuple[Member[M], ...]:
        """One for each cell that is reached."""
        return tuple(elite.item for elite in self._grid.elites) if self._grid else ()

    def __len__(self) -> int:
        return len(self.members)

    def check(self, member_scores: MemberScores) -> None:
        """Accept all scores: tasks can always be compared."""

    def add(self, member: Member[M], member_scores: MemberScores, *, seed: bool) -> None:
        """Offer the member to its cell."""
        if self._grid is None:
            low, high = self._config.scores
            tasks = len(member_scores.tasks)
            self._grid = EliteGrid([low] * tasks, [high] * tasks, self._config.bins)
        self.version += self._grid.add(Elite(member, member_scores.fitness, member_scores.tasks))

    def parents(self, number: int, rng: np.random.Generator) -> tuple[Member[M], Member[M]]:
        """Two elites."""
        assert self._grid is not None
        elites = self._grid.elites
        odds = np.ones(len(elites))
        if self._config.draw == "quality":
            fitness = np.maximum([elite.fitness for elite in elites], 0.0)
            odds = fitness if np.count_nonzero(fitness) >= 2 else odds
        chosen = rng.choice(len(elites), 2, replace=False, p=odds / odds.sum())
        first, second = (elites[int(i)].item for i in chosen)
        return first, second

    def fitness(self) -> Mapping[int, float]:
        """Each elite's own."""
        elites = self._grid.elites if self._grid else ()
        return {elite.item.id: elite.fitness for elite in elites}
