"""The proposals of one optimizer: numbered, and results checked before anything is told."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from evomerge.optimizers.base import Fitness, Observation, Parentage, Proposal, Result
from evomerge.optimizers.problem import Problem
from evomerge.recipe.genome import ChoiceGene, CoefficientsGene, Genome
from evomerge.wording import count

__all__ = ["Proposals"]


class Proposals:
    """Which proposals are open; the contract's laws on ids and fitnesses, in one place.

    Every check precedes every change, so that an optimizer which calls `close` (`check_observed`)
    first is left as it was by a call that raises.
    """

    def __init__(self, problem: Problem) -> None:
        self._genes = problem.genes
        self._objectives = problem.objectives
        self._open: set[int] = set()
        self.asked = 0

    @property
    def open(self) -> int:
        """How many were asked and not told."""
        return len(self._open)

    def ask(self, genomes: Iterable[Genome], parentage: Parentage | None = None) -> list[Proposal]:
        """Number the genomes and open them."""
        proposals = [
            Proposal(self.asked + i, genome, parentage) for i, genome in enumerate(genomes)
        ]
        self.asked += len(proposals)
        self._open.update(proposal.id for proposal in proposals)
        return proposals

    def close(self, results: Sequence[Result]) -> None:
        """Check all results, then close their proposals.

        Raises:
            ValueError: as `Optimizer.tell`.
        """
        seen: set[int] = set()
        for result in results:
            if result.id in seen:
                raise ValueError(f"proposal {result.id} has two results in one call")
            if result.id not in self._open:
                known = 0 <= result.id < self.asked
                why = "was told already" if known else f"was never asked ({self.asked} were)"
                raise ValueError(f"proposal {result.id} {why}")
            if result.fitness is not None:
                self._check_fitness(f"proposal {result.id}", result.fitness)
            if result.error is not None:
                self._check_error(f"proposal {result.id}", result.error)
            seen.add(result.id)
        self._open -= seen

    def check_observed(self, observation: Observation) -> None:
        """The laws on what is observed, but for those on scores (`ScoreChecks`).

        Raises:
            ValueError: a proposal was asked already, the genome is none of this space, or the
                fitness or its error is not finite or of the wrong length.
        """
        if self.asked:
            asked = count(self.asked, "proposal")
            raise ValueError(f"observe before the first ask; {asked} came before it")
        genome = observation.genome
        if len(genome) != len(self._genes):
            raise ValueError(f"a genome has {len(self._genes)} genes here, got {len(genome)}")
        for gene, value in zip(self._genes, genome, strict=True):
            if isinstance(gene, ChoiceGene):
                if value not in gene.choices:
                    raise ValueError(f"gene {gene.name!r} is one of {gene.choices}, got {value!r}")
            elif isinstance(gene, CoefficientsGene):
                if not isinstance(value, str):
                    raise ValueError(f"gene {gene.name!r} is the text of a table, got {value!r}")
            elif isinstance(value, str) or not 0 <= value <= 1:
                raise ValueError(f"gene {gene.name!r} lies in [0, 1], got {value!r}")
        self._check_fitness("an observation", observation.fitness)
        if observation.error is not None:
            self._check_error("an observation", observation.error)

    def _check_fitness(self, of: str, fitness: Fitness) -> None:
        if len(fitness) != self._objectives:
            raise ValueError(
                f"the fitness of {of} has {len(fitness)} numbers, {self._objectives} expected"
            )
        if not all(math.isfinite(value) for value in fitness):
            raise ValueError(f"the fitness of {of} is not finite: {fitness}")

    def _check_error(self, of: str, error: Fitness) -> None:
        if len(error) != self._objectives or not all(0 <= value < math.inf for value in error):
            raise ValueError(
                f"the standard error of {of} has to be {self._objectives} numbers of at least 0,"
                f" got {error}"
            )
