"""Random merging: children of the seeds alone, the baseline of every search by crossing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np

from evomerge.optimizers.populations.config import PopulationConfig
from evomerge.optimizers.populations.crossing import CrossingConfig
from evomerge.optimizers.populations.crossings import crossing_of
from evomerge.optimizers.populations.population import Member, MemberScores
from evomerge.optimizers.populations.steady import SteadyState
from evomerge.optimizers.problem import Problem

__all__ = ["RandomMerge", "RandomMergeConfig"]

M = TypeVar("M")


class RandomMergeConfig(PopulationConfig, CrossingConfig):
    """Random merges of two seeds at a time: what natural niches warm up with, and nothing more."""

    kind: Literal["random_merge"] = "random_merge"
    citation: ClassVar[str] = "A warm-up of Abrantes et al. 2025, arXiv 2508.16204, section 4.2"
    keeps: ClassVar[bool] = False

    def population(self) -> NoPopulation[Any]:
        """One that stays empty."""
        return NoPopulation()

    def drawn(self) -> tuple[str, str]:
        """Both parents are drawn among the seeds."""
        return "at random", "at random"


class RandomMerge(SteadyState[object]):
    """A warm-up (2508.16204, section 4.2) without end."""

    config = RandomMergeConfig

    def __init__(self, config: RandomMergeConfig, problem: Problem) -> None:
        crossing = crossing_of(config, problem, "random_merge")
        super().__init__(problem, crossing, config.population(), warm_up=None, needs=())


class NoPopulation(Generic[M]):
    """A population that keeps no members, so that only seeds are merged."""

    version = 0

    def __len__(self) -> int:
        return 0

    def check(self, member_scores: MemberScores) -> None:
        """Accept all scores."""

    def add(self, member: Member[M], member_scores: MemberScores, *, seed: bool) -> None:
        """Drop the member."""

    def parents(self, number: int, rng: np.random.Generator) -> tuple[Member[M], Member[M]]:
        """Never called: the population is always empty."""
        raise AssertionError("an empty population has no parents")

    def fitness(self) -> Mapping[int, float]:
        """Nothing: there are no members."""
        return {}
