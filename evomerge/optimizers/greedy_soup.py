"""Greedy soup: inputs are added to a mean one by one, and stay if they help."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import ClassVar, Literal

import numpy as np

from evomerge.errors import ConfigError
from evomerge.optimizers.base import Observation, OptimizerConfig, Proposal, Result
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.proposals import Proposals
from evomerge.recipe.genome import FloatGene, Genome

__all__ = ["GreedySoup", "GreedySoupConfig"]

BatchFitness = list[float | None]
"""Fitness of each genome of a batch, None where it failed."""


class GreedySoupConfig(OptimizerConfig):
    """Greedy soup (Wortsman et al. 2022): for spaces of one weight an input, from 0."""

    kind: Literal["greedy_soup"] = "greedy_soup"
    citation: ClassVar[str] = "Wortsman et al. 2022, Model soups, ICML, arXiv 2203.05482, recipe 1"


class GreedySoup:
    """Wortsman et al., Model soups, ICML 2022, recipe 1: every input alone; then, best first, each
    joins if the soup with it scores higher.

    A genome has the same weight for all that are in, and 0 for the rest. After the paper's one pass
    each input in turn is put in or taken out, in random orders, and that stays if it scores higher.
    """

    config = GreedySoupConfig

    def __init__(self, config: GreedySoupConfig, problem: Problem) -> None:
        problem.require_one_objective("greedy_soup")
        for gene in problem.scalars("greedy_soup"):
            if not isinstance(gene, FloatGene) or gene.low != 0 or gene.log:
                raise ConfigError(
                    f"greedy_soup puts inputs in or leaves them out, by weights from 0;"
                    f" the gene {gene.name!r} is none; take the space parameter_space/soup"
                )
        self._problem = problem
        self._proposals = Proposals(problem)
        self._known: dict[Genome, float] = {}
        self._steps = self._passes()
        self._batch: list[Genome] = next(self._steps)
        self._first = 0
        """Id of the batch's first proposal."""
        self._scores: dict[int, float | None] = {}

    def ask(self, limit: int) -> list[Proposal]:
        """The rest of the current batch; see `Optimizer.ask`."""
        place = self._proposals.asked - self._first
        return self._proposals.ask(self._batch[place : place + limit])

    def tell(self, results: Sequence[Result]) -> None:
        """Take results; see `Optimizer.tell`."""
        self._proposals.close(results)
        for result in results:
            self._scores[result.id] = None if result.fitness is None else result.fitness[0]
        ids = range(self._first, self._first + len(self._batch))
        if all(id in self._scores for id in ids):
            scores = [self._scores.pop(id) for id in ids]
            self._first += len(self._batch)
            self._batch = self._steps.send(scores)

    def observe(self, observation: Observation) -> None:
        """Remember the fitness, so that the genome is not asked for; see `Optimizer.observe`."""
        self._proposals.check_observed(observation)
        self._known[observation.genome] = observation.fitness[0]
        self._steps = self._passes()
        self._batch = next(self._steps)

    def recommend(self) -> Genome | None:
        """None: it recommends only what it tried."""
        return None

    def _passes(self) -> Generator[list[Genome], BatchFitness, None]:
        """Yields genomes to be tried, is sent their scores; never ends."""
        alone: dict[int, float] = {}
        unknown = []
        for i in range(len(self._problem.genes)):
            known = self._known.get(self._genome({i}))
            if known is None:
                unknown.append(i)
            else:
                alone[i] = known
        if unknown:
            scores = yield [self._genome({i}) for i in unknown]
            tried = zip(unknown, scores, strict=True)
            alone |= {i: score for i, score in tried if score is not None}
        order = sorted(alone, key=lambda i: (-alone[i], i))
        soup = set(order[:1])
        best = alone[order[0]] if order else -np.inf
        soup, best = yield from self._improved(soup, best, order[1:])
        passes = 0
        while True:
            stream = np.random.SeedSequence(self._problem.seed, spawn_key=(passes,))
            order = np.random.default_rng(stream).permutation(len(self._problem.genes)).tolist()
            soup, best = yield from self._improved(soup, best, order)
            passes += 1

    def _improved(
        self, soup: set[int], best: float, order: Sequence[int]
    ) -> Generator[list[Genome], BatchFitness, tuple[set[int], float]]:
        """The soup after each input in turn was put in or taken out, where that scored higher."""
        for i in order:
            tried = soup ^ {i}
            if not tried:  # the last one stays in; it is tried again, as nothing else can be
                tried = soup
            (score,) = yield [self._genome(tried)]
            if score is not None and score > best:
                soup, best = tried, score
        return soup, best

    def _genome(self, soup: set[int]) -> Genome:
        return tuple(1.0 if i in soup else 0.0 for i in range(len(self._problem.genes)))
