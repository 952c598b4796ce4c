"""Random merging: children of the seeds alone, the baseline of every search by crossing."""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

import numpy as np

from evomerge.optimizers.populations.crossing import CrossingConfig
from evomerge.optimizers.populations.crossings import crossing_of
from evomerge.optimizers.populations.population import Member, MemberScores
from evomerge.optimizers.populations.steady import SteadyState
from evomerge.optimizers.problem import Problem

__all__ = ["RandomMerge", "RandomMergeConfig"]

M = TypeVar("M")


class RandomMergeConfig(CrossingConfig):
    """Random merges of two seeds at a time: what natural niches warm up with, and nothing more."""

    kind: Literal["random_merge"] = "random_merge"


class RandomMerge(SteadyState[object]):
    """A warm-up (2508.16204, section 4.2) without end."""

    def __init__(self, config: RandomMergeConfig, problem: Problem) -> None:
        crossing = crossing_of(config, problem, "random_merge")
        super().__init__(problem, crossing, Nobody(), warm_up=None, needs=())


class Nobody(Generic[M]):
    """A population that keeps no one."""

    version = 0

    def __len__(self) -> int:
        return 0

    def check(self, member_scores: MemberScores) -> None:
        pass

    def add(self, member: Member[M], member_scores: MemberScores, *, seed: bool) -> None:
        pass

    def child(self, number: int, rng: np.random.Generator) -> tuple[M, tuple[Member[M], ...]]:
        raise AssertionError("nobody has children")
