"""Steady-state search: each question is bred from the population as it is when it is asked.

Seeds come first (those that were not observed), then, if wanted, random merges of them, then the
population's children. Nothing waits for a generation, so a pool of workers is always busy; a child
may be bred from parents that have gone by the time that it is told, which its `Descent` shows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Generic, TypeVar

import numpy as np

from evomerge.optimizers.base import Observation, Parentage, Proposal, Result
from evomerge.optimizers.populations.crossing import Crossing
from evomerge.optimizers.populations.population import Member, Population, Variation
from evomerge.optimizers.populations.score_checks import Kind, ScoreChecks
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.proposals import Proposals
from evomerge.recipe.genome import Genome

__all__ = ["SteadyState"]

M = TypeVar("M")

FEWEST = 2
"""Members that it takes to breed."""


class SteadyState(Generic[M]):
    """The optimizer contract over a population and a crossing.

    Question i draws from a generator of (seed, i) alone: what else it depends on is the population,
    and so the order in which answers arrived. A failure is dropped, and never a parent.
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
    ) -> None:
        """`warm_up`: how many random merges of seeds come first; None: nothing else ever does.
        `needs`: the scores without which it cannot do. `variation`: what is made of the parents
        that the population draws; None: they are crossed and the child is mutated.
        """
        self.needs_examples = bool(needs)
        self._seed = problem.seed
        self._crossing, self._population = crossing, population
        self._variation = variation or self._crossed
        self._warm_up = warm_up
        self._questions = Proposals(problem)
        self._sheets = ScoreChecks(needs)
        self._observed = 0
        self._seeds: dict[int, Member[M]] = {}
        """By id; one that failed is no longer among them."""
        self._unasked: list[M] | None = None
        """Seeds of the space that nobody has tried; None before the first question."""
        self._asked: dict[int, Member[M]] = {}
        """What is being tried."""

    def ask(self, limit: int) -> list[Proposal]:
        found: list[Proposal] = []
        while len(found) < limit and (bred := self._next()):
            body, parents = bred
            parentage = Parentage(self._population.version, tuple(one.id for one in parents))
            (proposal,) = self._questions.ask([self._crossing.genome(body)], parentage)
            self._asked[proposal.id] = Member(proposal.id, body)
            if not parents:
                self._seeds[proposal.id] = self._asked[proposal.id]
            found.append(proposal)
        return found

    def tell(self, results: Sequence[Result]) -> None:
        score_checks = self._sheets.read([(f"question {one.id}", one) for one in results])
        for member_scores in score_checks:
            if member_scores is not None:
                self._population.check(member_scores)
        self._questions.close(results)
        for result, member_scores in zip(results, score_checks, strict=True):
            member = self._asked.pop(result.id)
            if member_scores is None:
                self._seeds.pop(result.id, None)
            else:
                self._sheets.keep(member_scores)
                self._population.add(member, member_scores, seed=member.id in self._seeds)

    def observe(self, observation: Observation) -> None:
        self._questions.check_observed(observation)
        (member_scores,) = self._sheets.read([("an observation", observation)])
        assert member_scores is not None
        self._population.check(member_scores)
        member = Member(-1 - self._observed, self._crossing.read(observation.genome))
        self._observed += 1
        self._seeds[member.id] = member
        self._sheets.keep(member_scores)
        self._population.add(member, member_scores, seed=True)

    def recommend(self) -> Genome | None:
        return None

    def _next(self) -> tuple[M, tuple[Member[M], ...]] | None:
        """The next question's body and its parents, none of a seed; None if it has to wait."""
        rng = np.random.default_rng(
            np.random.SeedSequence(self._seed, spawn_key=(self._questions.asked,))
        )
        if self._unasked is None:
            known = {self._crossing.genome(one.body) for one in self._seeds.values()}
            seeds = self._crossing.seeds()
            self._unasked = [one for one in seeds if self._crossing.genome(one) not in known]
        if self._unasked:
            return self._unasked.pop(0), ()
        if len(self._seeds) < FEWEST:
            return self._crossing.founder(rng), ()
        if self._warm_up is None or self._warm_up > 0:
            if self._warm_up is not None:
                self._warm_up -= 1
            return self._merge(rng)
        if len(self._population) >= FEWEST:
            number = self._questions.asked
            a, b = self._population.parents(number, rng)
            return self._variation(number, a.body, b.body, rng), (a, b)
        return None if self._questions.open else self._merge(rng)

    def _merge(self, rng: np.random.Generator) -> tuple[M, tuple[Member[M], ...]]:
        """Of two seeds at random."""
        seeds = list(self._seeds.values())
        a, b = (seeds[int(i)] for i in rng.choice(len(seeds), 2, replace=False))
        return self._crossed(self._questions.asked, a.body, b.body, rng), (a, b)

    def _crossed(self, number: int, a: M, b: M, rng: np.random.Generator) -> M:
        return self._crossing.mutate(self._crossing.cross(a, b, rng), rng)
