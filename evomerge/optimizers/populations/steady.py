"""Steady-state search: each proposal is bred from the population as it is when it is asked.

Seeds come first (those that were not observed), then, if wanted, random merges of them, then the
population's children. Nothing waits for a generation, so a pool of workers is always busy. The
parents of a child may have left the population when its result is told; its `Parentage` names them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Generic, TypeVar

import numpy as np

from evomerge.optimizers.base import LeastBudget, Observation, Parentage, Proposal, Result
from evomerge.optimizers.populations.crossing import Crossing
from evomerge.optimizers.populations.intake import Intake
from evomerge.optimizers.populations.population import Member, Population, Variation
from evomerge.optimizers.populations.score_checks import Kind
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.proposals import Proposals
from evomerge.recipe.genome import Genome

__all__ = ["SteadyState"]

M = TypeVar("M")

FEWEST = 2
"""Members that breeding needs."""


class SteadyState(Generic[M]):
    """The optimizer contract over a population and a crossing.

    Proposal i draws from a generator of (seed, i) alone. It also depends on the population, and so
    on the order in which results arrived. A failure is dropped, and never becomes a parent.
    """

    def __init__(
        self,
        problem: Problem,
        crossing: Crossing[M],
        population: Population[M],
        *,
        warm_up: int | None,
        needs: Collection[Kind],
        variation: Variation[M] | None = None,
        places: int = 0,
    ) -> None:
        """`warm_up`: how many random merges of seeds come first; None: nothing else ever does.
        `needs`: the scores that it cannot do without. `variation`: makes a child of the parents
        that the population draws; None: they are crossed and the child is mutated. `places`: how
        many members the population has room for; 0 where that is no matter of the budget.
        """
        self.needs_examples = bool(needs)
        self._seed = problem.seed
        self._crossing, self._population = crossing, population
        self._variation = variation or self._crossed
        self._warm_up = warm_up
        self._first_merges, self._places = warm_up or 0, places
        self._proposals = Proposals(problem)
        self._intake = Intake(population, crossing, self._proposals, needs)
        self._seeds: dict[int, Member[M]] = {}
        """Id -> seed, without those that failed."""
        self._unasked: list[M] | None = None
        """Seeds of the space that were not tried yet; None before the first proposal."""

    def ask(self, limit: int) -> list[Proposal]:
        """The next proposals; see `Optimizer.ask`."""
        proposals: list[Proposal] = []
        while len(proposals) < limit and (bred := self._next()):
            body, parents = bred
            parentage = Parentage(self._population.version, tuple(parent.id for parent in parents))
            (proposal,) = self._proposals.ask([self._crossing.genome(body)], parentage)
            member = self._intake.expect(proposal, body)
            if not parents:
                self._seeds[proposal.id] = member
            proposals.append(proposal)
        return proposals

    def tell(self, results: Sequence[Result]) -> None:
        """Take results; see `Optimizer.tell`."""
        for member, member_scores in self._intake.told(results):
            if member_scores is None:
                self._seeds.pop(member.id, None)
            else:
                self._intake.admit(member, member_scores, seed=member.id in self._seeds)

    def observe(self, observation: Observation) -> None:
        """Take a known point; see `Optimizer.observe`."""
        member = self._intake.observed(observation)
        self._seeds[member.id] = member

    def recommend(self) -> Genome | None:
        """None: it recommends only what it tried."""
        return None

    def least_budget(self, landmarks: int) -> LeastBudget:
        """A child of members, with which an archive of so many places is full at last."""
        first = landmarks + self._first_merges
        why = f"{landmarks} warm starts, {self._first_merges} random merges and a child of members"
        if self._places > first + 1:
            why = f"an archive of {self._places}, which only then begins to choose"
        return LeastBudget(max(first + 1, self._places), why)

    def _next(self) -> tuple[M, tuple[Member[M], ...]] | None:
        """The next proposal's body and parents (a seed has none); None if it has to wait."""
        rng = np.random.default_rng(
            np.random.SeedSequence(self._seed, spawn_key=(self._proposals.asked,))
        )
        if self._unasked is None:
            known = {self._crossing.genome(member.body) for member in self._seeds.values()}
            seeds = self._crossing.seeds()
            self._unasked = [seed for seed in seeds if self._crossing.genome(seed) not in known]
        if self._unasked:
            return self._unasked.pop(0), ()
        if len(self._seeds) < FEWEST:
            return self._crossing.founder(rng), ()
        if self._warm_up is None or self._warm_up > 0:
            if self._warm_up is not None:
                self._warm_up -= 1
            return self._merge(rng)
        if len(self._population) >= FEWEST:
            number = self._proposals.asked
            a, b = self._population.parents(number, rng)
            return self._variation(number, a.body, b.body, rng), (a, b)
        return None if self._proposals.open else self._merge(rng)

    def _merge(self, rng: np.random.Generator) -> tuple[M, tuple[Member[M], ...]]:
        """A child of two seeds drawn at random."""
        seeds = list(self._seeds.values())
        a, b = (seeds[int(i)] for i in rng.choice(len(seeds), 2, replace=False))
        return self._crossed(self._proposals.asked, a.body, b.body, rng), (a, b)

    def _crossed(self, number: int, a: M, b: M, rng: np.random.Generator) -> M:
        return self._crossing.mutate(self._crossing.cross(a, b, rng), rng)
