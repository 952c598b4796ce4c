"""One run of pycma over genomes: sample, update, and where the distribution stands.

Hansen 2016, "The CMA Evolution Strategy: A Tutorial"; Ros & Hansen 2008, "A simple modification in
CMA-ES achieving linear time and space complexity" (separable).
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evomerge.optimizers.coordinates import from_cube, to_cube
from evomerge.optimizers.isolation import Isolation, quiet
from evomerge.optimizers.margin import Margin
from evomerge.optimizers.restarts import Start
from evomerge.recipe.genome import ChoiceGene, Gene, Genome

__all__ = ["Covariance", "Discrete", "Mode", "Run", "Sample"]

Discrete = Literal["threshold", "integer", "margin"]
Covariance = Literal["full", "separable"]

TOLX = 1e-6
"""The width at which a run is over: genes that differ by less build the same bfloat16 model."""


ALONG = 0.5
"""How much of the way that the mean has gone since a sample was drawn the sample is moved along.
With 0 late samples pull the mean back to where it was; with 1 the same step is taken over and over,
and widths grow. With 64 workers and 20 genes 0, 0.5 and 1 reached 0.13, 0.37 and 0.08 of the
targets of three of bbob's functions (`benchmarks/asynchrony.py`)."""

NEVER = -1
"""The update of a sample that was drawn from no distribution of the run."""


@dataclass(frozen=True)
class Mode:
    """What a run does with choices, and which covariances it learns."""

    discrete: Discrete = "threshold"
    covariance: Covariance = "full"


@dataclass(frozen=True)
class Sample:
    """A genome, and whence it was drawn."""

    genome: Genome
    point: NDArray[np.float64]
    """(coordinates,): as pycma knows it, inside the bounds."""
    drawn: NDArray[np.float64]
    """(coordinates,): the same before it was folded into the bounds."""
    mean: NDArray[np.float64]
    """(coordinates,): of the distribution that it was drawn from."""
    update: int
    """How often the distribution had been updated by then; `NEVER` of what it did not draw."""


class Run:
    """Floats are kept in [0, 1] by pycma's `BoundTransform`, a map onto the box that is the
    identity inside and smooth at the faces. Unlike its `BoundPenalty` it adds nothing to the
    fitness, so that the search still depends on ranks alone, which also keeps failures from
    distorting it; unlike clipping it does not pile up candidates on the faces.

    Choices are coordinates cut into equal intervals, of which the outer two have no end. What lets
    them change late in a run:

    - threshold: nothing.
    - integer: a least standard deviation, and samples that changed are moved to their interval's
      middle (pycma's `integer_variables`; Marty et al. 2024, "LB+IC-CMA-ES", PPSN).
    - margin: a least probability of every change, 1 / (genes x population); see `Margin`.
    """

    def __init__(
        self, genes: Sequence[Gene], start: Start, mode: Mode, rng: np.random.Generator
    ) -> None:
        self._genes = genes
        self._sizes = {i: len(g.choices) for i, g in enumerate(genes) if isinstance(g, ChoiceGene)}
        self._choices = list(self._sizes)
        self._margin = (
            Margin(list(self._sizes.values()), 1 / (len(genes) * start.popsize))
            if mode.discrete == "margin" and self._choices
            else None
        )
        # pycma rounds integers: its coordinate of a choice counts the intervals' middles.
        self._scale = np.ones(len(start.mean))
        self._shift = np.zeros(len(start.mean))
        if mode.discrete == "integer":
            self._scale[self._choices] = list(self._sizes.values())
            self._shift[self._choices] = 0.5
        self._start = start
        self._observed: Genome | None = None
        self._updates = self._drawn_at = 0
        # pycma's integer centering draws from the global generator, to check itself at random.
        self._isolation = Isolation(0)
        self._es = self._begin(mode, rng)

    @property
    def popsize(self) -> int:
        """How many samples are told at a time."""
        return self._start.popsize

    @property
    def evaluations(self) -> int:
        """Number of results that the run has been told."""
        return int(self._es.countevals)

    @property
    def centre(self) -> Genome:
        """The mean; of choices each the most probable one."""
        return self._genome(self._es.result.xfavorite)

    def inject(self, genome: Genome) -> None:
        """Let the genome stand in for one sample of the first generation.

        Hansen 2011, "Injecting external solutions into CMA-ES": the distribution moves towards it
        by no more than it would towards a sample.
        """
        point = self._inward(self._point(genome))
        self._es.inject([self._es.gp.geno(point, self._es.boundary_handler.inverse)])
        self._observed = genome

    def elsewhere(self, genome: Genome) -> Sample:
        """A genome that another search has asked for, as a sample: the distribution moves towards
        it by no more than it would towards one of its own, as in `inject`."""
        point = self._inward(self._point(genome))
        drawn = self._es.gp.geno(point, self._es.boundary_handler.inverse)
        return Sample(genome, point, drawn, self._es.mean.copy(), NEVER)

    def ask(self) -> list[Sample]:
        """A generation; or one more of the same distribution, where it was not told."""
        with quiet():
            points = self._es.ask()
        self._drawn_at = self._updates
        genomes = [self._genome(self._sampled(point)) for point in points]
        if self._observed is not None:
            # As it is where the distribution reaches it (the way into pycma's coordinates and back
            # rounds: keep the name it is known by), and where a step in its direction may be
            # another model altogether; else that step.
            reached = np.allclose(points[0], self._inward(self._point(self._observed)), atol=1e-9)
            if reached or self._choices:
                genomes[0] = self._observed
            self._observed = None
        mean = self._es.mean.copy()
        return [
            Sample(genome, point, self._drawn(point), mean, self._updates)
            for genome, point in zip(genomes, points, strict=True)
        ]

    def tell(
        self,
        samples: Sequence[Sample],
        fitnesses: Sequence[float],
        active: Sequence[Sequence[bool]] | None = None,
    ) -> None:
        """One fitness, to be maximised, for each of as many samples as a generation has; and which
        of its genes mattered: the mean does not follow those that did not.

        They stay samples of the distribution whatever the fitness, so that widths, which are
        learned from all, are not deceived: an update by such samples leaves them where they are in
        expectation. Only the mean would walk at random.
        """
        with self._isolation():
            if self._drawn_at != self._updates:
                self._es.ask()  # pycma takes no two updates without samples between them
            self._es.tell(
                [self._point_now(s) for s in samples], [-fitness for fitness in fitnesses]
            )
        self._updates += 1
        if active is not None:
            self._es.mean -= self._drift(np.array(active, dtype=bool))
        if self._margin is not None:
            at = self._choices
            self._es.mean[at] = self._margin.corrected(self._es.mean[at], self._es.stds[at])

    def ended(self) -> set[str]:
        """pycma's stop conditions that hold now."""
        with quiet():
            return set(self._es.stop())

    def _begin(self, mode: Mode, rng: np.random.Generator) -> Any:
        floats = np.ones(len(self._start.mean), dtype=bool)
        floats[self._choices] = False
        steps = self._start.steps
        with quiet():
            cma: Any = importlib.import_module("cma")
            es = cma.CMAEvolutionStrategy(
                self._inward(self._start.mean),
                self._start.sigma,
                {
                    "popsize": self._start.popsize,
                    "bounds": [[bound if f else None for f in floats] for bound in (0, 1)],
                    "integer_variables": self._choices if mode.discrete == "integer" else [],
                    "CMA_stds": self._scale if steps is None else self._scale * steps,
                    "CMA_diagonal": mode.covariance == "separable",
                    "tolx": TOLX,
                    # One generator of our own: pycma's default is to seed and use numpy's global
                    # one.
                    "randn": lambda *shape: rng.standard_normal(shape),
                    "seed": np.nan,
                    # From 300 genes on pycma would take two-point adaptation, which draws from
                    # numpy's global generator and spends two proposals of each generation.
                    "AdaptSigma": cma.sigma_adaptation.CMAAdaptSigmaCSA,
                    # No files: neither logs nor the `cma_signals.in` that pycma would obey.
                    "verbose": -10,
                    "verb_log": 0,
                    "signals_filename": None,
                },
            )
            if self._start.covariance is not None:
                es.sm.C = self._start.covariance.copy()
                es.sm.update_now(-1)
            return es

    def _drawn(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        es = self._es
        drawn: NDArray[np.float64] = es.gp.geno(
            point, from_bounds=es.boundary_handler.inverse, archive=es.sent_solutions
        )
        return drawn

    def _point_now(self, sample: Sample) -> NDArray[np.float64]:
        """The point itself; of a late sample one that is moved along with the mean, and no further
        from it than samples are (Hansen 2011, "Injecting external solutions into CMA-ES").
        """
        if sample.update == self._updates:
            return sample.point
        es = self._es
        drawn = es.repair_genotype(sample.drawn + ALONG * (es.mean - sample.mean), True)
        point: NDArray[np.float64] = es.gp.pheno(
            drawn, copy=True, into_bounds=es.boundary_handler.repair
        )
        es.sent_solutions.insert(point, geno=drawn, iteration=es.countiter)
        return point

    def _drift(self, active: NDArray[np.bool_]) -> NDArray[np.float64]:
        """How far genes that did not matter have carried the mean, (coordinates,)."""
        es = self._es
        weights = np.array(es.sp.weights.positive_weights)
        moves = es.pop_sorted[: len(weights)] - es.mean_old
        idle = np.zeros(moves.shape, dtype=bool)
        idle[:, : len(self._genes)] = ~active[es.fit.idx[: len(weights)]]
        return np.asarray(es.sp.cmean * (weights @ np.where(idle, moves, 0.0)))

    def _sampled(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._margin is None:
            return point
        at, sample = self._choices, point.copy()
        sample[at] = self._margin.stretched(point[at], self._es.mean[at])
        return sample

    def _genome(self, point: NDArray[np.float64]) -> Genome:
        cube = (point + self._shift) / self._scale
        return from_cube(self._genes, cube[: len(self._genes)])

    def _inward(self, cube: NDArray[np.float64]) -> NDArray[np.float64]:
        """Coordinates of the cube -> pycma's."""
        return cube * self._scale - self._shift

    def _point(self, genome: Genome) -> NDArray[np.float64]:
        """In the cube; a choice in its interval's middle, or further out where the mean is."""
        mean = self._start.mean
        point = mean.copy()
        point[: len(self._genes)] = to_cube(self._genes, genome)
        for i, size in self._sizes.items():
            if point[i] < 1 / size:
                point[i] = min(point[i], mean[i])
            elif point[i] > 1 - 1 / size:
                point[i] = max(point[i], mean[i])
        return point
