"""A genetic algorithm without generations, for spaces of many choices.

Holland 1975, "Adaptation in Natural and Artificial Systems"; Syswerda 1989, "Uniform crossover in
genetic algorithms"; Doerr, Le, Makhmara & Nguyen 2017, "Fast genetic algorithms", GECCO (how many
genes mutate).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from evomerge.optimizers.base import LeastBudget, Observation, OptimizerConfig, Proposal, Result
from evomerge.optimizers.initial_distribution import sample_initial
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.proposals import Proposals
from evomerge.recipe.genome import ChoiceGene, Genome, Scalar

__all__ = ["Genetic", "GeneticConfig"]


class GeneticConfig(OptimizerConfig):
    """A genetic algorithm; `sigma` in units of the genes' [0, 1].

    Where the job says which genes matter (`importance`), those that matter less mutate more seldom.
    """

    kind: Literal["genetic"] = "genetic"
    citation: ClassVar[str] = (
        "Holland 1975, Adaptation in Natural and Artificial Systems; Syswerda 1989, uniform"
        " crossover; Doerr et al. 2017, Fast genetic algorithms, GECCO"
    )
    population: int = Field(default=8, ge=2)
    """Number of candidates that may become parents: the best so far."""
    crossover: float = Field(default=0.5, ge=0, le=1)
    """Probability that a child has two parents."""
    beta: float = Field(default=2.0, gt=1)
    """Exponent of the number of genes that mutate: k genes have a probability of k^-beta, so mostly
    one, sometimes many."""
    sigma: float = Field(default=1 / 6, gt=0, le=1)
    """Standard deviation of a float's mutation, as a share of its range."""


class Genetic:
    """Proposal i is drawn by a generator of (seed, i), from the results that have arrived by then.

    The first proposals, as many as the population has places, are samples of where the genes say
    that a search begins; observations take places from the start. Later each is a child: the better
    of two members drawn at random, for `crossover` of them with half of the genes of another so
    drawn, and mutated. A choice that mutates becomes another one, a float gets normal noise. Genes
    that do not matter at the parent do not mutate; of the others each is drawn in proportion to the
    root of its importance. Of two that are equally good the newer one is kept, so that a population
    on a plateau wanders. Failures never become members.
    """

    config = GeneticConfig
    heeds_importance = True

    def __init__(self, config: GeneticConfig, problem: Problem) -> None:
        problem.require_one_objective("genetic")
        self._config = config
        self._problem = problem
        self._genes = problem.scalars("genetic")
        self._weights = None if problem.importance is None else np.sqrt(problem.importance)
        self._proposals = Proposals(problem)
        self._asked: dict[int, Genome] = {}
        self._members: list[tuple[float, int, Genome]] = []
        """(-fitness, -age, genome), best first; observations are older than any proposal."""
        self._observed = 0

    def ask(self, limit: int) -> list[Proposal]:
        """The next proposals; see `Optimizer.ask`."""
        first = self._proposals.asked
        proposals = self._proposals.ask(self._genome(i) for i in range(first, first + limit))
        self._asked |= {proposal.id: proposal.genome for proposal in proposals}
        return proposals

    def tell(self, results: Sequence[Result]) -> None:
        """Take results; see `Optimizer.tell`."""
        self._proposals.close(results)
        for result in results:
            genome = self._asked.pop(result.id)
            if result.fitness is not None:
                self._join(result.fitness[0], result.id, genome)

    def observe(self, observation: Observation) -> None:
        """Take a known point; see `Optimizer.observe`."""
        self._proposals.check_observed(observation)
        self._observed += 1
        self._join(observation.fitness[0], self._observed - 2**62, observation.genome)

    def recommend(self) -> Genome | None:
        """None: it recommends only what it tried."""
        return None

    def least_budget(self, landmarks: int) -> LeastBudget:
        """A full population, in which observations have places."""
        size = self._config.population
        why = f"a population of {size}, {landmarks} warm starts among them, and a child"
        return LeastBudget(max(landmarks, size) + 1, why)

    def _join(self, fitness: float, birth: int, genome: Genome) -> None:
        others = [member for member in self._members if member[2] != genome]
        members = sorted([*others, (-fitness, -birth, genome)])
        self._members = members[: self._config.population]

    def _genome(self, i: int) -> Genome:
        stream = np.random.SeedSequence(self._problem.seed, spawn_key=(i,))
        rng = np.random.default_rng(stream)
        if not self._members or i < self._config.population - self._observed:
            return sample_initial(self._genes, self._config.sigma, rng)
        child = self._parent(rng)
        if rng.random() < self._config.crossover:
            other, mask = self._parent(rng), rng.random(len(child)) < 0.5
            child = tuple(b if m else a for a, b, m in zip(child, other, mask, strict=True))
        return self._mutated(child, rng)

    def _parent(self, rng: np.random.Generator) -> Genome:
        return self._members[int(rng.integers(len(self._members), size=2).min())][2]

    def _mutated(self, genome: Genome, rng: np.random.Generator) -> Genome:
        active = self._problem.active
        matters = np.flatnonzero(active(genome)) if active else np.arange(len(genome))
        if not len(matters):
            return genome
        counts = np.arange(1, max(len(matters) // 2, 1) + 1)
        odds = counts**-self._config.beta
        count = rng.choice(counts, p=odds / odds.sum())
        weights = None if self._weights is None else self._weights[matters]
        shares = None if weights is None else weights / weights.sum()
        child = list(genome)
        for at in rng.choice(matters, count, replace=False, p=shares):
            child[at] = self._changed(self._genes[at], genome[at], rng)
        return tuple(child)

    def _changed(self, gene: Scalar, value: float | str, rng: np.random.Generator) -> float | str:
        if isinstance(gene, ChoiceGene):
            return str(rng.choice([choice for choice in gene.choices if choice != value]))
        return min(max(float(value) + self._config.sigma * rng.standard_normal(), 0.0), 1.0)
