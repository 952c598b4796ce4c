"""Natural niches whose members come from CMA-ES and from crossing each other.

A search for the best mean and an archive of specialists help each other: what CMA-ES visits feeds
the archive, and the archive's children lead CMA-ES where they are better than its own samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from evomerge.optimizers.base import LeastBudget, Observation, Parentage, Proposal, Result
from evomerge.optimizers.cma_es import CmaEs, CmaEsConfig
from evomerge.optimizers.populations.archive import Array
from evomerge.optimizers.populations.intake import Intake
from evomerge.optimizers.populations.niches import Niches, NichesConfig
from evomerge.optimizers.populations.vector_crossing import VectorCrossing
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.proposals import Proposals
from evomerge.optimizers.restarts import usual_popsize
from evomerge.recipe.genome import Genome

__all__ = ["CmaNiches", "CmaNichesConfig"]

FEWEST = 2
"""Members that breeding needs."""
FEWEST_SAMPLES = 4
"""Samples that a generation needs."""


class CmaNichesConfig(NichesConfig):
    """CMA-ES for the mean, and natural niches' archive of all that it finds: for lists of genes.

    Children of the archive that are better than CMA-ES's own samples are injected into it.
    """

    kind: Literal["cma_niches"] = "cma_niches"
    citation: ClassVar[str] = (
        "after Fontaine et al. 2020, Covariance Matrix Adaptation for the Rapid Illumination of"
        " Behavior Space (CMA-ME), arXiv 1912.02400, with the archive of Abrantes, Lange & Tang"
        " 2025, arXiv 2508.16204, and injection as in Hansen 2011, arXiv 1110.4181"
    )
    mutation: Annotated[float, Field(ge=0)] = 0.05
    share: Annotated[float, Field(gt=0, lt=1)] = 0.75
    """CMA-ES's share of the proposals; the others are children of the archive. While CMA-ES waits
    for the rest of a generation, children take its turns, and it makes up for them afterwards."""
    emitter: CmaEsConfig = CmaEsConfig()
    """Options of CMA-ES, such as {sigma: 0.2}. Without a popsize, a generation has its share of 4 +
    floor(3 ln genes), but 4 at least: with the children that are bred meanwhile, as many as CMA-ES
    has alone."""

    @model_validator(mode="after")
    def _injectable(self) -> Self:
        if self.emitter.lr_adapt:
            raise ValueError(
                "emitter: lr_adapt does not go with the archive's children, which are injected;"
                " leave it out"
            )
        return self

    def emitter_of(self, genes: int) -> CmaEsConfig:
        """CMA-ES's options in a space of so many genes."""
        if self.emitter.popsize is not None:
            return self.emitter
        alone = usual_popsize(genes)
        return self.emitter.model_copy(
            update={"popsize": max(FEWEST_SAMPLES, round(self.share * alone))}
        )


class CmaNiches:
    """Two sources of members for one archive, as CMA-ME mixes emitters (Fontaine et al. 2020,
    section 4): CMA-ES on the fitness, and crossing with attraction (M2N2), both among genes that
    are numbers and choices.

    The archive takes whatever is told, from either source, and lets it compete for examples. CMA-ES
    is told the results of its own proposals, and children by injection (`CmaEs.inject`). So a
    child's evaluation is not lost to the search for the best mean, and what CMA-ES leaves behind is
    not lost to the archive. Warm starts are members, and the best of them is CMA-ES's first sample.

    Whose turn it is depends on how many proposals came from each, and on what was told.
    """

    config = CmaNichesConfig
    needs_examples = True
    learns_earlier = True
    heeds_importance = True

    def __init__(self, config: CmaNichesConfig, problem: Problem) -> None:
        problem.require_one_objective("cma_niches")
        self._crossing = VectorCrossing(config, problem.scalars("cma_niches"))
        self._emitter = CmaEs(config.emitter_of(len(problem.genes)), problem)
        self._niches: Niches[Array] = config.population()
        self.archive = self._niches.archive
        self._seed, self._share = problem.seed, config.share
        self._proposals = Proposals(problem)
        self._intake = Intake(self._niches, self._crossing, self._proposals, {"examples"})
        self._places = config.archive
        self._emitted = 0
        self._emitter_ids: dict[int, int] = {}
        """Those that CMA-ES asked: id -> its own id."""
        self._bred: set[Genome] = set()

    def ask(self, limit: int) -> list[Proposal]:
        """CMA-ES's next proposals and children of the archive; see `Optimizer.ask`."""
        proposals: list[Proposal] = []
        while len(proposals) < limit and (proposal := self._next()):
            self._intake.expect(proposal, self._crossing.read(proposal.genome))
            proposals.append(proposal)
        return proposals

    def tell(self, results: Sequence[Result]) -> None:
        """Let members compete, and tell or inject them; see `Optimizer.tell`."""
        for result, (member, member_scores) in zip(
            results, self._intake.told(results), strict=True
        ):
            if member_scores is not None:
                self._intake.admit(member, member_scores, seed=False)
            if (id := self._emitter_ids.pop(result.id, None)) is not None:
                self._emitter.tell([Result(id, result.fitness)])
            elif member_scores is not None:
                self._emitter.inject(self._crossing.genome(member.body), member_scores.fitness)

    def observe(self, observation: Observation) -> None:
        """A member of the archive, and a place for CMA-ES to begin; see `Optimizer.observe`."""
        self._intake.observed(observation)
        self._emitter.observe(Observation(observation.genome, observation.fitness))

    def recommend(self) -> Genome | None:
        """CMA-ES's mean, unless it was tried."""
        centre = self._emitter.recommend()
        return None if centre in self._bred else centre

    def least_budget(self, landmarks: int) -> LeastBudget:
        """A generation of CMA-ES with the children between its samples, and a full archive."""
        size = self._emitter.least_budget(0).candidates
        generation = landmarks + math.ceil(size / self._share)
        if self._places > generation:
            why = f"an archive of {self._places}, which only then begins to choose"
            return LeastBudget(self._places, why)
        why = f"a generation of {size} and what is bred meanwhile, after {landmarks} warm starts"
        return LeastBudget(generation, why)

    def _next(self) -> Proposal | None:
        """The next proposal; None if CMA-ES has to wait, and there is nobody to be crossed."""
        is_its_turn = self._emitted < self._share * (self._proposals.asked + 1)
        if is_its_turn and (proposal := self._emit()):
            return proposal
        return self._breed() if len(self._niches) >= FEWEST else self._emit()

    def _emit(self) -> Proposal | None:
        """CMA-ES's next proposal; None if it has to wait."""
        for own in self._emitter.ask(1):
            (proposal,) = self._proposals.ask([own.genome])
            self._emitter_ids[proposal.id] = own.id
            self._emitted += 1
            return proposal
        return None

    def _breed(self) -> Proposal:
        """A child of the archive as it is now; it draws from a generator of (seed, its id)."""
        number = self._proposals.asked
        rng = np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=(number,)))
        a, b = self._niches.parents(number, rng)
        body = self._crossing.mutate(self._crossing.cross(a.body, b.body, rng), rng)
        parentage = Parentage(self._niches.version, (a.id, b.id))
        (proposal,) = self._proposals.ask([self._crossing.genome(body)], parentage)
        self._bred.add(proposal.genome)
        return proposal
