"""One run of CMA-ES whose learning rates follow the signal-to-noise ratio of its own updates.

Nomura, Akimoto & Ono 2023, "CMA-ES with Learning Rate Adaptation: Can CMA-ES with Default
Population Size Solve Multimodal and Noisy Problems?", arXiv 2304.03473; by the package `cmaes`, of
the paper's authors.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evomerge.optimizers.cma_run import Sample
from evomerge.optimizers.coordinates import from_cube, to_cube
from evomerge.optimizers.isolation import quiet
from evomerge.optimizers.restarts import Start
from evomerge.recipe.genome import Gene, Genome

__all__ = ["AdaptedRun"]

RESAMPLINGS = 100
"""How often a sample outside the box is drawn anew, before it is moved to its face."""


class AdaptedRun:
    """As `cma_run.Run`, for genes that are all numbers: the steps of mean and covariance are scaled
    down where they would mostly follow noise, and up again where they agree.
    """

    def __init__(self, genes: Sequence[Gene], start: Start, rng: np.random.Generator) -> None:
        self._genes, self._start = genes, start
        self._observed: Genome | None = None
        self._told = 0
        with quiet():
            cmaes: Any = importlib.import_module("cmaes")
            self._es = cmaes.CMA(
                mean=start.mean,
                sigma=start.sigma,
                bounds=np.array([[0.0, 1.0]] * len(start.mean)),
                n_max_resampling=RESAMPLINGS,
                seed=int(rng.integers(2**32)),
                population_size=start.popsize,
                cov=start.scaled_covariance,
                lr_adapt=True,
            )

    @property
    def popsize(self) -> int:
        """How many samples are told at a time."""
        return self._start.popsize

    @property
    def evaluations(self) -> int:
        """Number of results that the run has been told."""
        return self._told

    @property
    def centre(self) -> Genome:
        """The mean."""
        return self._genome(self._es.mean)

    def inject(self, genome: Genome) -> None:
        """Let the genome, or a shorter step in its direction, stand in for one sample of the first
        generation (Hansen 2011, "Injecting external solutions into CMA-ES", section 3)."""
        self._observed = genome

    def ask(self) -> list[Sample]:
        """A generation."""
        points = [self._es.ask() for _ in range(self._start.popsize)]
        genomes = [self._genome(point) for point in points]
        if self._observed is not None:
            wanted = np.array(points[0])
            wanted[: len(self._genes)] = to_cube(self._genes, self._observed)
            points[0] = self._reached(wanted)
            near = np.array_equal(points[0], wanted)
            genomes[0] = self._observed if near else self._genome(points[0])
            self._observed = None
        mean = np.array(self._es.mean)
        return [
            Sample(genome, point, point, mean, self._es.generation)
            for genome, point in zip(genomes, points, strict=True)
        ]

    def tell(
        self,
        samples: Sequence[Sample],
        fitnesses: Sequence[float],
        active: Sequence[Sequence[bool]] | None = None,
    ) -> None:
        """One fitness, to be maximised, for each sample of a generation; `active` is of no use."""
        self._told += len(samples)
        pairs = [(s.point, -fitness) for s, fitness in zip(samples, fitnesses, strict=True)]
        with quiet():
            self._es.tell(pairs)

    def ended(self) -> set[str]:
        """`tolx` where the package says that the run should stop: its distribution has collapsed,
        or many generations were all the same."""
        with quiet():
            return {"tolx"} if self._es.should_stop() else set()

    def _reached(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        """The point, or as far in its direction as a long sample of the first generation goes."""
        n = len(point)
        step = point - self._start.mean
        shape = self._start.scaled_covariance
        length = float(np.sqrt(step @ np.linalg.solve(shape, step))) / self._start.sigma
        longest = np.sqrt(n) + 2 * n / (n + 2)
        return point if length <= longest else self._start.mean + step * (longest / length)

    def _genome(self, point: NDArray[np.float64]) -> Genome:
        return from_cube(self._genes, point[: len(self._genes)])
