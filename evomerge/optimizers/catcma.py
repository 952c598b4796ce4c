"""CatCMA with margin: CMA-ES for numbers and a categorical distribution for choices, in one.

Hamano et al. 2025, "CatCMA with Margin: Stochastic Optimization for Continuous, Integer, and
Categorical Variables", GECCO, arXiv 2504.07884; by the package `cmaes`, of the paper's authors.
"""

from __future__ import annotations

import importlib
from collections import deque
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from evomerge.optimizers.base import LeastBudget, Observation, OptimizerConfig, Proposal, Result
from evomerge.optimizers.initial_distribution import first_steps, initial_distribution
from evomerge.optimizers.isolation import quiet
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.proposals import Proposals
from evomerge.optimizers.restarts import usual_popsize
from evomerge.recipe.genome import ChoiceGene, FloatGene, Genome

__all__ = ["CatCma", "CatCmaConfig"]


class CatCmaConfig(OptimizerConfig):
    """CatCMA with margin, for numbers and choices together; steps in units of the genes' [0, 1].

    A gene's own start or odds take the place of `mean` and of equal odds. Where the job says which
    genes matter (`importance`), numbers that matter less begin with smaller steps.
    """

    kind: Literal["catcma"] = "catcma"
    citation: ClassVar[str] = (
        "Hamano et al. 2025, CatCMA with Margin: Stochastic Optimization for Continuous, Integer,"
        " and Categorical Variables, arXiv 2504.07884"
    )
    sigma: float = Field(default=1 / 6, gt=0, le=1 / 3)
    """Standard deviation of the first generation's numbers, as a share of each gene's range."""
    mean: float = Field(default=0.5, ge=0, le=1)
    """Where the first generation's numbers are centred, from 0 to 1."""
    popsize: int | None = Field(default=None, ge=4)
    """Number of proposals in a generation; by default 4 + floor(3 ln genes)."""


class CatCma:
    """Generational, as `CmaEs`: a generation is handed out piece by piece, and told as ranks.

    Ranks, because the method's penalty for numbers outside the box is in units of the fitness,
    which is flat in many generations. A failure has the last rank. The best observation stands in
    for one candidate of the first generation; the distribution moves towards it by no more than it
    would towards a sample.
    """

    config = CatCmaConfig
    heeds_importance = True

    def __init__(self, config: CatCmaConfig, problem: Problem) -> None:
        problem.require_one_objective("catcma")
        self._config, self._genes = config, problem.scalars("catcma")
        self._floats = [g for g in self._genes if isinstance(g, FloatGene)]
        self._choices = [g for g in self._genes if isinstance(g, ChoiceGene)]
        is_float = [isinstance(gene, FloatGene) for gene in self._genes]
        self._steps = first_steps(self._genes, problem.importance)[is_float]
        self._popsize = config.popsize or usual_popsize(len(self._genes))
        self._proposals = Proposals(problem)
        self._rng = np.random.default_rng(problem.seed)
        with quiet():
            self._library: Any = importlib.import_module("cmaes")
        self._es = self._begin()
        self._observed: tuple[float, Genome] | None = None
        self._drawn: deque[tuple[Genome, Any]] = deque()
        self._open: dict[int, Any] = {}
        self._told: dict[int, tuple[Any, float]] = {}
        self._tried: set[Genome] = set()
        self._succeeded = False

    def ask(self, limit: int) -> list[Proposal]:
        """The rest of the current generation, or the first part of the next; see
        `Optimizer.ask`."""
        if not self._drawn and not self._open:
            self._draw()
        handed = [self._drawn.popleft() for _ in range(min(limit, len(self._drawn)))]
        proposals = self._proposals.ask([genome for genome, _ in handed])
        self._tried.update(proposal.genome for proposal in proposals)
        for proposal, (_, solution) in zip(proposals, handed, strict=True):
            self._open[proposal.id] = solution
        return proposals

    def tell(self, results: Sequence[Result]) -> None:
        """Gather results; a generation of them updates the distribution. See `Optimizer.tell`."""
        self._proposals.close(results)
        for result in results:
            fitness = result.fitness[0] if result.fitness else -np.inf
            self._told[result.id] = self._open.pop(result.id), fitness
        if len(self._told) == self._popsize:
            self._update()

    def observe(self, observation: Observation) -> None:
        """Keep the best observation for the first generation; see `Optimizer.observe`."""
        self._proposals.check_observed(observation)
        self._tried.add(observation.genome)
        if self._observed is None or observation.fitness[0] > self._observed[0]:
            self._observed = observation.fitness[0], observation.genome

    def recommend(self) -> Genome | None:
        """The mean of the numbers and each most probable choice, unless that was tried; None before
        any candidate succeeded."""
        if not self._succeeded:
            return None
        # The package tells its distribution by these names only.
        numbers = self._es._mean if self._floats else []
        choices = self._es._q.argmax(axis=1) if self._choices else []
        genome = self._genome(numbers, [int(place) for place in choices])
        return None if genome in self._tried else genome

    def least_budget(self, landmarks: int) -> LeastBudget:
        """One generation: only then is the distribution moved."""
        why = f"a generation of {self._popsize} after {landmarks} warm starts"
        return LeastBudget(landmarks + self._popsize, why)

    @property
    def most_at_once(self) -> int:
        """A generation."""
        return self._popsize

    def _begin(self) -> Any:
        start = initial_distribution(self._floats, self._config.mean, self._config.sigma)
        sizes = [len(gene.choices) for gene in self._choices]
        odds = np.zeros((len(sizes), max(sizes, default=0)))
        for row, gene in zip(odds, self._choices, strict=True):
            row[: len(gene.choices)] = gene.odds or 1 / len(gene.choices)
        with quiet():
            return self._library.CatCMAwM(
                x_space=[[0.0, 1.0]] * len(start) if self._floats else None,
                c_space=sizes or None,
                population_size=self._popsize,
                mean=start if self._floats else None,
                sigma=self._config.sigma,
                cov=np.diag(self._steps**2) if self._floats else None,
                cat_param=odds if sizes else None,
                seed=int(self._rng.integers(2**32)),
            )

    def _draw(self) -> None:
        for _ in range(self._popsize):
            solution = self._es.ask()
            places = [] if solution.c is None else solution.c.argmax(axis=1)
            numbers = [] if solution.x is None else solution.x
            genome = self._genome(numbers, [int(place) for place in places])
            self._drawn.append((genome, solution))
        if self._observed is not None:
            self._drawn[0] = self._observed[1], self._solution(self._observed[1])
            self._observed = None

    def _update(self) -> None:
        solutions, fitnesses = zip(*(self._told[id] for id in sorted(self._told)), strict=True)
        self._told.clear()
        best_first = np.argsort(-np.array(fitnesses), kind="stable")
        with quiet():
            self._es.tell([(solutions[i], float(rank)) for rank, i in enumerate(best_first)])
            self._succeeded |= bool(np.isfinite(max(fitnesses)))
            if self._floats and self._es.should_stop():
                self._es = self._begin()

    def _genome(self, numbers: Sequence[float], places: Sequence[int]) -> Genome:
        floats, choices = iter(numbers), iter(places)
        return tuple(
            gene.choices[next(choices)]
            if isinstance(gene, ChoiceGene)
            else min(max(float(next(floats)), 0.0), 1.0)
            for gene in self._genes
        )

    def _solution(self, genome: Genome) -> Any:
        """The genome as the package knows one."""
        pairs = list(zip(self._genes, genome, strict=True))
        x = np.array([v for g, v in pairs if not isinstance(g, ChoiceGene)], dtype=float)
        c = np.zeros((len(self._choices), max((len(g.choices) for g in self._choices), default=0)))
        places = [g.choices.index(str(v)) for g, v in pairs if isinstance(g, ChoiceGene)]
        c[np.arange(len(places)), places] = 1.0
        return self._library.CatCMAwM.Solution(
            x if self._floats else None,
            None,
            c.astype(bool) if self._choices else None,
            self._reached(x) if self._floats else None,
        )

    def _reached(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """As far on the way to `x` as a long sample of the first generation goes (Hansen 2011,
        "Injecting external solutions into CMA-ES", section 3)."""
        mean = self._es._mean
        longest = (np.sqrt(len(x)) + 2 * len(x) / (len(x) + 2)) * self._config.sigma
        step = x - mean
        length = np.linalg.norm(step / self._steps)
        return np.asarray(mean + step * min(1.0, longest / max(length, 1e-12)))
