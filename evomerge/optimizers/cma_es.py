"""CMA-ES on pycma: the optimizer of evolutionary model merging's paper.

Hansen 2016, "The CMA Evolution Strategy: A Tutorial"; Akiba et al. 2024, "Evolutionary Optimization
of Model Merging Recipes", section 3.1 (mean 0.5, sigma 1/6, population 4 + floor(3 ln n)).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from evomerge.errors import ConfigError
from evomerge.optimizers.base import LeastBudget, Observation, OptimizerConfig, Proposal, Result
from evomerge.optimizers.cma_adapted import AdaptedRun
from evomerge.optimizers.cma_run import Covariance, Discrete, Mode, Run, Sample
from evomerge.optimizers.failure import worse_than
from evomerge.optimizers.initial_distribution import first_steps, initial_distribution, says_where
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.proposals import Proposals
from evomerge.optimizers.restarts import RestartRule, Restarts, Start, usual_popsize
from evomerge.optimizers.warm_start import promising
from evomerge.recipe.genome import ChoiceGene, Genome

__all__ = ["CmaEs", "CmaEsConfig"]

SPENT = frozenset(
    {"tolx", "noeffectaxis", "noeffectcoord", "tolconditioncov", "tolfacupx", "tolupsigma"}
)
"""pycma's stop conditions that say that the distribution itself can go no further. The others speak
of the fitness, and plateaus are normal where fitness is a share of a few hundred examples."""


AnyRun = Run | AdaptedRun


class CmaEsConfig(OptimizerConfig):
    """CMA-ES; `sigma` and `mean` in units of the genes' [0, 1].

    A gene's own start or odds take the place of `mean`. Where the job says which genes matter
    (`importance`), those that matter less begin with smaller steps.
    """

    kind: Literal["cma_es"] = "cma_es"
    citation: ClassVar[str] = (
        "Hansen 2016, The CMA Evolution Strategy: A Tutorial, arXiv 1604.00772; for merging Akiba"
        " et al. 2024, Evolutionary Optimization of Model Merging Recipes, arXiv 2403.13187"
    )
    sigma: float = Field(default=1 / 6, gt=0, le=1 / 3)
    """Standard deviation of the first generation, as a share of each gene's range."""
    mean: float = Field(default=0.5, ge=0, le=1)
    """Where the first generation is centred, from 0 (the low end of each gene's range) to 1."""
    popsize: int | None = Field(default=None, ge=3)
    """Number of proposals in a generation; by default 4 + floor(3 ln genes)."""
    restarts: RestartRule = "none"
    """`none`: a run goes on as long as its distribution can move, and only then starts again.
    `ipop`: it also ends where pycma sees no progress, and the next run has twice the population.
    `bipop`: large and small populations take turns."""
    discrete: Discrete = "margin"
    """How choices are kept from being fixed too early: `margin` (Hamano et al. 2022: no category's
    probability falls below a bound), `integer` (pycma's handling of integers) or `threshold`
    (not at all: a choice is read off its number)."""
    covariance: Covariance = "full"
    """`full`: n^2 numbers. `separable`: n numbers, learned faster, without dependencies between
    genes; for thousands of genes."""
    asynchronous: bool = False
    """Do not wait for a generation's last results: no worker idles, and what is asked depends on
    the order in which results arrive. For more than two or three workers (docs/scaling.md)."""
    conditional: bool = False
    """Leave the genes that do not matter at a candidate, such as the scale of a layer that does not
    run, out of the update of the mean."""
    lr_adapt: bool = False
    """Learn at the rate that the signal allows (Nomura et al. 2023, arXiv 2304.03473): where few
    examples make fitness noisy, mean and widths take shorter steps. For spaces of numbers."""

    @model_validator(mode="after")
    def _one_engine(self) -> Self:
        others = {
            "covariance: separable": self.covariance == "separable",
            "asynchronous: true": self.asynchronous,
            "conditional: true": self.conditional,
        }
        for other, wanted in others.items():
            if self.lr_adapt and wanted:
                raise ValueError(f"lr_adapt does not go with {other}; leave one of them out")
        return self


class CmaEs:
    """Generational: a generation is handed out piece by piece, its results gathered, then told.

    After an earlier search (`Problem.earlier`) the first generation is drawn around its best tenth.

    `asynchronous`, it is handed out without end, and as many results as a generation has are told
    as soon as they are in, whichever they are. Late ones, of an earlier distribution, go half of
    the way with the mean that it has gone since (`cma_run`); with one worker none is late, and the
    search is the plain one.

    A failure counts as worse than the worst of its generation; a generation of failures is told as
    a flat one. The best observation replaces one proposal of the first generation: unchanged
    where there are choices or the distribution reaches it, so that the driver already knows the
    result; otherwise by a shorter step in its direction.
    """

    config = CmaEsConfig
    learns_earlier = True
    heeds_importance = True

    def __init__(self, config: CmaEsConfig, problem: Problem) -> None:
        problem.require_one_objective("cma_es")
        self._rule = config.restarts
        self._genes = problem.scalars("cma_es")
        self._active = problem.active if config.conditional else None
        self._mode = Mode(discrete=config.discrete, covariance=config.covariance)
        self._proposals = Proposals(problem)
        self._rng = np.random.default_rng(problem.seed)
        popsize = config.popsize or usual_popsize(len(problem.genes))
        # pycma fails in one dimension sooner or later: a single gene has an idle companion.
        mean = np.full(max(len(problem.genes), 2), config.mean)
        mean[: len(problem.genes)] = initial_distribution(self._genes, config.mean, config.sigma)
        settled = np.zeros(len(mean), dtype=bool)
        settled[: len(problem.genes)] = says_where(self._genes)
        steps = np.ones(len(mean))
        steps[: len(problem.genes)] = first_steps(self._genes, problem.importance)
        self._start = Start(mean, config.sigma, popsize, steps=steps)
        self._restarts = Restarts(self._rule, self._start, self._rng, settled)
        if problem.earlier:
            self._start = self._promising(problem, config)
        self._adapted = config.lr_adapt
        if self._adapted and (
            choices := [g.name for g in self._genes if isinstance(g, ChoiceGene)]
        ):
            raise ConfigError(
                f"cma_es: lr_adapt is for spaces of numbers, and {choices[0]!r} is a choice; leave"
                " it out, or take {kind: catcma}"
            )
        self._run: AnyRun | None = None
        self._observed: tuple[float, Genome] | None = None
        self._asynchronous = config.asynchronous
        self._drawn: deque[Sample] = deque()
        self._open: dict[int, tuple[AnyRun, Sample]] = {}
        self._told: dict[int, tuple[Sample, float | None]] = {}
        self._injected: list[tuple[Genome, float]] = []
        self._tried: set[Genome] = set()
        self._best = -np.inf
        self._best_run: AnyRun | None = None
        self._centre: Genome | None = None

    def ask(self, limit: int) -> list[Proposal]:
        """The rest of the current generation, or the first part of the next; asynchronous, as many
        as are wanted. See `Optimizer.ask`.
        """
        handed: list[tuple[AnyRun, Sample]] = []
        while len(handed) < limit:
            if not self._drawn:
                if (handed or self._open) and not self._asynchronous:
                    break
                self._draw()
            assert self._run is not None
            handed.append((self._run, self._drawn.popleft()))
        proposals = self._proposals.ask([sample.genome for _, sample in handed])
        self._tried.update(proposal.genome for proposal in proposals)
        self._open.update((q.id, of) for q, of in zip(proposals, handed, strict=True))
        return proposals

    def tell(self, results: Sequence[Result]) -> None:
        """Gather results; a generation of them updates the distribution. See `Optimizer.tell`."""
        self._proposals.close(results)
        for result in results:
            run, sample = self._open.pop(result.id)
            fitness = result.fitness[0] if result.fitness else None
            if run is not self._run:  # that run has ended
                self._note_best(run, [] if fitness is None else [fitness])
                continue
            self._told[result.id] = sample, fitness
            if len(self._told) == run.popsize:
                self._update(run)

    def observe(self, observation: Observation) -> None:
        """Keep the best observation for the first generation; see `Optimizer.observe`."""
        self._proposals.check_observed(observation)
        self._tried.add(observation.genome)
        if self._observed is None or observation.fitness[0] > self._observed[0]:
            self._observed = observation.fitness[0], observation.genome

    def inject(self, genome: Genome, fitness: float) -> None:
        """Take what another search found meanwhile, to be maximised by the same measure.

        Where it belongs to the better half of the next generation, it stands in for that one's
        worst, with a step no longer than samples have (Hansen 2011, "Injecting external solutions
        into CMA-ES", arXiv 1110.4181, section 3). What was injected too late for a generation's end
        waits for the next one.

        Raises:
            ValueError: with `lr_adapt`, whose samples have to be its own.
        """
        if self._adapted:
            raise ValueError("with lr_adapt, nothing can be injected")
        self._injected.append((genome, fitness))

    def recommend(self) -> Genome | None:
        """The centre of the run that has found the best candidate, unless it was tried; None
        before any was found.
        """
        return None if self._centre in self._tried else self._centre

    def least_budget(self, landmarks: int) -> LeastBudget:
        """One generation: only then is the distribution moved."""
        size = self._start.popsize
        why = f"a generation of {size} after {landmarks} warm starts"
        return LeastBudget(landmarks + size, why)

    @property
    def most_at_once(self) -> int | None:
        """A generation, unless it does not wait for its end."""
        return None if self._asynchronous else self._start.popsize

    def _promising(self, problem: Problem, config: CmaEsConfig) -> Start:
        """Where an earlier search found its best: mean and covariance of its first run."""
        if config.covariance == "separable":
            raise ConfigError(
                "cma_es: warm_start.study gives a full covariance; leave covariance: separable out"
            )
        mean, sigma, covariance = promising(self._genes, problem.earlier)
        whole_mean = self._start.mean.copy()  # a single gene has an idle companion
        whole_mean[: len(mean)] = mean
        whole = np.eye(len(whole_mean))
        whole[: len(mean), : len(mean)] = covariance
        return replace(self._start, mean=whole_mean, sigma=sigma, covariance=whole)

    def _draw(self) -> None:
        if self._run is None:
            self._run = (
                AdaptedRun(self._genes, self._start, self._rng)
                if self._adapted
                else Run(self._genes, self._start, self._mode, self._rng)
            )
            if self._observed is not None:
                self._run.inject(self._observed[1])
                self._observed = None
        self._drawn.extend(self._run.ask())

    def _update(self, run: AnyRun) -> None:
        told = [self._told[id] for id in sorted(self._told)]
        self._told.clear()
        self._drawn.clear()  # of the distribution that was
        scores = [fitness for _, fitness in told if fitness is not None]
        samples, fitnesses = zip(*self._with_injected(run, told), strict=True)
        worst = worse_than([fitness for fitness in fitnesses if fitness is not None])
        run.tell(
            samples,
            [worst if f is None else f for f in fitnesses],
            None if self._active is None else [self._active(s.genome) for s in samples],
        )
        if not scores:
            return
        self._note_best(run, scores)
        if self._best_run is run:
            self._centre = run.centre
        ended = run.ended()
        if ended & SPENT if self._rule == "none" else ended:
            self._start = self._restarts.next(run.evaluations)
            self._run = None

    def _with_injected(
        self, run: AnyRun, told: list[tuple[Sample, float | None]]
    ) -> list[tuple[Sample, float | None]]:
        """The generation, what was injected and belongs to its better half in the worst's place."""
        injected, self._injected = self._injected, []
        if not injected or isinstance(run, AdaptedRun):
            return told
        own = [-np.inf if fitness is None else fitness for _, fitness in told]
        everyone = [*own, *(fitness for _, fitness in injected)]
        ranked = sorted(range(len(everyone)), key=lambda k: -everyone[k])  # of equals its own first
        better = [k - len(own) for k in ranked[: len(own) // 2] if k >= len(own)]
        worst = sorted(range(len(own)), key=lambda k: own[k])[: len(better)]
        whole = list(told)
        for place, k in zip(worst, better, strict=True):
            genome, fitness = injected[k]
            whole[place] = run.elsewhere(genome), fitness
        return whole

    def _note_best(self, run: AnyRun, scores: Sequence[float]) -> None:
        if max(scores, default=-np.inf) > self._best:
            self._best, self._best_run = max(scores), run
            self._centre = run.centre
