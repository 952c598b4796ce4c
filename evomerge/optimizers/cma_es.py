"""CMA-ES on pycma: the optimizer of evolutionary model merging's paper.

Hansen 2016, "The CMA Evolution Strategy: A Tutorial"; Akiba et al. 2024, "Evolutionary Optimization
of Model Merging Recipes", section 3.1 (mean 0.5, sigma 1/6, population 4 + floor(3 ln n)).
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from evomerge.optimizers.base import Answer, Fitness, Question
from evomerge.optimizers.coordinates import from_cube, to_cube
from evomerge.optimizers.failure import worse_than
from evomerge.optimizers.isolation import quiet
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.questions import Questions
from evomerge.optimizers.restarts import RestartRule, Restarts, Start
from evomerge.recipe.genome import Genome
from evomerge.recipe.value import Value

__all__ = ["CmaEs", "CmaEsConfig"]

SPENT = frozenset(
    {"tolx", "noeffectaxis", "noeffectcoord", "tolconditioncov", "tolfacupx", "tolupsigma"}
)
"""pycma's stop conditions that say that the distribution itself can go no further. The others speak
of the fitness, and plateaus are normal where fitness is a share of a few hundred examples."""

TOLX = 1e-6
"""The width at which a run is over: genes that differ by less build the same bfloat16 model."""


class CmaEsConfig(Value):
    """CMA-ES; `sigma` and `mean` in units of the genes' [0, 1]."""

    kind: Literal["cma_es"] = "cma_es"
    sigma: float = Field(default=1 / 6, gt=0, le=1 / 3)
    mean: float = Field(default=0.5, ge=0, le=1)
    popsize: int | None = Field(default=None, ge=3)
    """Questions in a generation; by default 4 + floor(3 ln genes)."""
    restarts: RestartRule = "none"
    """none: a run goes on for as long as its distribution can move, and only then starts over.
    ipop, bipop: it also ends where pycma sees no progress; then as `Restarts` says."""


class CmaEs:
    """Generational: a generation is handed out piece by piece, its answers gathered, then told.

    Bounds are pycma's `BoundTransform`, a map onto the box that is the identity inside and smooth
    at the faces. Unlike its `BoundPenalty` it adds nothing to the fitness, so that the search still
    depends on ranks alone, which also keeps failures from distorting it; unlike clipping it does
    not pile up candidates on the faces. Choices are coordinates cut into equal intervals.

    A failure counts as worse than the worst of its generation; a generation of failures is told as
    a flat one. The best observation stands in for one question of the first generation (pycma's
    `inject`; Hansen 2011, "Injecting external solutions into CMA-ES"): as it is where the
    distribution reaches it, so that the driver knows the answer already, else a shorter step in
    its direction.
    """

    def __init__(self, config: CmaEsConfig, problem: Problem) -> None:
        problem.require_one_objective("cma_es")
        with quiet():
            self._cma: Any = importlib.import_module("cma")
        self._rule = config.restarts
        self._genes = problem.genes
        self._questions = Questions(problem)
        self._rng = np.random.default_rng(problem.seed)
        popsize = config.popsize or 4 + int(3 * np.log(len(problem.genes)))
        # pycma fails in one dimension sooner or later: a single gene has an idle companion.
        dimension = max(len(problem.genes), 2)
        self._start = Start(np.full(dimension, config.mean), config.sigma, popsize)
        self._restarts = Restarts(self._rule, self._start, self._rng)
        self._run: Any = None
        self._observed: tuple[float, Genome] | None = None
        self._points: list[NDArray[np.float64]] = []
        self._genomes: list[Genome] = []
        self._waiting = 0
        self._fitness: dict[int, float | None] = {}
        self._best = -np.inf
        self._best_is_of_this_run = False
        self._mean: NDArray[np.float64] | None = None

    def ask(self, limit: int) -> list[Question]:
        if not self._waiting and not self._questions.open:
            self._sample_generation()
        first = len(self._genomes) - self._waiting
        handed = self._genomes[first : first + limit]
        self._waiting -= len(handed)
        return self._questions.ask(handed)

    def tell(self, answers: Sequence[Answer]) -> None:
        self._questions.close(answers)
        for answer in answers:
            self._fitness[answer.id] = answer.fitness[0] if answer.fitness else None
        if self._fitness and not self._waiting and not self._questions.open:
            self._update()

    def observe(self, genome: Genome, fitness: Fitness) -> None:
        self._questions.check_observed(genome, fitness)
        if self._observed is None or fitness[0] > self._observed[0]:
            self._observed = fitness[0], genome

    def recommend(self) -> Genome | None:
        """The mean of the run that has found the best candidate; None before any was found."""
        return None if self._mean is None else self._genome(self._mean)

    def _sample_generation(self) -> None:
        with quiet():
            if self._run is None:
                self._run = self._begin()
            self._points = self._run.ask()
        self._genomes = [self._genome(point) for point in self._points]
        if self._observed is not None:
            # The way into pycma's coordinates and back rounds: keep the name it is known by.
            if np.allclose(self._points[0], self._point(self._observed[1]), atol=1e-9):
                self._genomes[0] = self._observed[1]
            self._observed = None
        self._waiting = len(self._genomes)

    def _begin(self) -> Any:
        run = self._cma.CMAEvolutionStrategy(
            self._start.mean,
            self._start.sigma,
            {
                "popsize": self._start.popsize,
                "bounds": [0, 1],
                "tolx": TOLX,
                # One generator of our own: pycma's default is to seed and use numpy's global one.
                "randn": lambda *shape: self._rng.standard_normal(shape),
                "seed": np.nan,
                # From 300 genes on pycma would take two-point adaptation, which draws from numpy's
                # global generator and spends two questions of each generation.
                "AdaptSigma": self._cma.sigma_adaptation.CMAAdaptSigmaCSA,
                # No files: neither logs nor the `cma_signals.in` that pycma would obey.
                "verbose": -10,
                "verb_log": 0,
                "signals_filename": None,
            },
        )
        if self._observed is not None:
            point = self._point(self._observed[1])
            run.inject([run.gp.geno(point, run.boundary_handler.inverse)])
        return run

    def _genome(self, point: NDArray[np.float64]) -> Genome:
        return from_cube(self._genes, point[: len(self._genes)])

    def _point(self, genome: Genome) -> NDArray[np.float64]:
        point = self._start.mean.copy()
        point[: len(self._genes)] = to_cube(self._genes, genome)
        return point

    def _update(self) -> None:
        fitnesses = [self._fitness[i] for i in sorted(self._fitness)]
        self._fitness.clear()
        scores = [fitness for fitness in fitnesses if fitness is not None]
        worst = worse_than(scores)
        with quiet():
            self._run.tell(self._points, [-(worst if f is None else f) for f in fitnesses])
        if not scores:
            return
        if max(scores) > self._best:
            self._best, self._best_is_of_this_run = max(scores), True
        if self._best_is_of_this_run:
            self._mean = self._run.result.xfavorite
        with quiet():
            ended = set(self._run.stop())
        if ended & SPENT if self._rule == "none" else ended:
            self._start = self._restarts.next(self._run.countevals)
            self._run, self._best_is_of_this_run = None, False
