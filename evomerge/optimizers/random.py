"""Independent genomes: the baseline every other optimizer has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from evomerge.optimizers.base import Observation, OptimizerConfig, Proposal, Result
from evomerge.optimizers.initial_distribution import sample_initial
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.proposals import Proposals
from evomerge.recipe.genome import Genome

__all__ = ["RandomConfig", "RandomSearch"]


class RandomConfig(OptimizerConfig):
    """Random search, uniform where genes do not say where a search begins; it has no options."""

    kind: Literal["random"] = "random"


SIGMA = 1 / 6
"""The width around a float's start: that of the other optimizers."""


class RandomSearch:
    """Proposal i is drawn by a generator of (seed, i) alone: results never matter."""

    config = RandomConfig

    def __init__(self, config: RandomConfig, problem: Problem) -> None:
        self._problem = problem
        self._genes = problem.scalars("random")
        self._proposals = Proposals(problem)

    def ask(self, limit: int) -> list[Proposal]:
        """The next proposals; see `Optimizer.ask`."""
        first = self._proposals.asked
        return self._proposals.ask(self._genome(i) for i in range(first, first + limit))

    def tell(self, results: Sequence[Result]) -> None:
        """Take results; see `Optimizer.tell`."""
        self._proposals.close(results)

    def observe(self, observation: Observation) -> None:
        """Take a known point; see `Optimizer.observe`."""
        self._proposals.check_observed(observation)

    def recommend(self) -> Genome | None:
        """None: it recommends only what it tried."""
        return None

    def _genome(self, i: int) -> Genome:
        stream = np.random.SeedSequence(self._problem.seed, spawn_key=(i,))
        return sample_initial(self._genes, SIGMA, np.random.default_rng(stream))
