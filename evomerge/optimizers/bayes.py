"""Bayesian optimization on BoTorch: a Gaussian process over genes that asks where it may gain most.

Hvarfner, Hellsten & Nardi 2024, "Vanilla Bayesian optimization performs great in high dimensions",
arXiv 2402.02746 (length scales that grow with the number of genes); Ament et al. 2023, "Unexpected
improvements to expected improvement for Bayesian optimization", arXiv 2310.20708 (qLogNEI); Daulton
et al. 2021, "Parallel Bayesian optimization of multiple noisy objectives with expected hypervolume
improvement", arXiv 2105.08195 (qNEHVI).
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from evomerge.errors import ConfigError
from evomerge.optimizers.base import (
    Fitness,
    LeastBudget,
    Observation,
    OptimizerConfig,
    Proposal,
    Result,
)
from evomerge.optimizers.columns import Columns
from evomerge.optimizers.initial_distribution import at_quantiles
from evomerge.optimizers.isolation import Isolation
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.proposals import Proposals
from evomerge.recipe.genome import Genome

__all__ = ["Bayes", "BayesConfig", "Known", "Violations"]

SIGMA = 1 / 6
"""The width around a float's start: that of the other optimizers."""
LEAST = 3
"""A model of fewer results than these says nothing."""

Known = tuple[Genome, Fitness | None, Fitness | None]
"""A genome, its fitness (None: it failed), and the fitness's standard error where it is known."""

Violations = tuple[float, ...]
"""By how much each constraint is missed; 0 or less: it is kept. Empty where the genome failed."""


class BayesConfig(OptimizerConfig):
    """Bayesian optimization by a Gaussian process, for tens to hundreds of candidates.

    It needs the extra `bayes`. A proposal takes a second or two, longer with hundreds of
    candidates.
    """

    kind: Literal["bayes"] = "bayes"
    citation: ClassVar[str] = (
        "Hvarfner, Hellsten & Nardi 2024, Vanilla Bayesian Optimization Performs Great in High"
        " Dimensions, arXiv 2402.02746; for merging AP-BMM, arXiv 2512.09972"
    )
    startup: int = Field(default=8, ge=1)
    """Number of points, warm starts among them, that are spread over the space before the model is
    asked."""
    samples: int = Field(default=64, ge=8)
    """Number of draws from the model by which a candidate's expected gain is reckoned."""
    restarts: int = Field(default=4, ge=1)
    """How many of the most promising points are improved by gradient."""
    raw: int = Field(default=256, ge=16)
    """How many points are looked at to find those."""


class Bayes:
    """Any subset in any order, without generations: candidates under way are pending points, whose
    values the model draws like any other, so that two workers do not ask the same.

    A proposal depends on what is known, what is pending and its own number alone, so that nothing
    is left behind by asking, and a recorded search is restored without fitting a model. Its
    arithmetic runs on one thread in float64, whatever the machine's cores. A failure is no score;
    in the model alone it stands as the worst result so far, which keeps proposals away from there.
    Genomes of the same recipe, which differ only in genes that do not matter there, are one point.
    With several objectives it goes by their hypervolume. Each constraint has a model of its own, by
    how much it is missed, and what may gain is weighed with the odds that all are kept (Gardner et
    al. 2014, "Bayesian optimization with inequality constraints", section 3).
    """

    config = BayesConfig
    weighs_noise = True
    heeds_importance = True

    def __init__(self, config: BayesConfig, problem: Problem) -> None:
        """Raises:
        ConfigError: BoTorch is not installed.
        """
        genes = problem.scalars("bayes")
        self._library = _library()
        self._config, self._problem = config, problem
        self.takes_constraints = problem.constraints > 0
        self._proposals = Proposals(problem)
        self._columns = Columns(genes, problem.active)
        self._isolation = Isolation(problem.seed)
        self._observed: list[Known] = []
        self._told: list[Known] = []
        self._missed: list[Violations] = []
        """Of what was observed, then of what was told."""
        self._open: dict[int, Genome] = {}
        self._model: Any = None
        """Of what is known; None until it is asked."""

    def ask(self, limit: int) -> list[Proposal]:
        """The next proposals, one after the other; see `Optimizer.ask`."""
        genomes: list[Genome] = []
        for number in range(self._proposals.asked, self._proposals.asked + limit):
            genomes.append(self._next(number, [*self._open.values(), *genomes]))
        return self._take(genomes)

    def ask_again(self, genome: Genome) -> list[Proposal]:
        """Take a recorded proposal for the next one; see `optimizers.base.ask_again`.

        Raises:
            ValueError: it is one of the first, which no result has a say in, and another one than
                this optimizer asks.
        """
        number = self._proposals.asked
        if number < self._first and self._design(number) != genome:
            raise ValueError("its seed or its space begin elsewhere")
        return self._take([genome])

    def tell(self, results: Sequence[Result]) -> None:
        """Take results; see `Optimizer.tell`."""
        self._proposals.close(results)
        for result in results:
            self._told.append((self._open.pop(result.id), result.fitness, result.error))
            self._missed.append(result.violations)
        self._model = None

    def observe(self, observation: Observation) -> None:
        """Take a known point, which counts as one of the first; see `Optimizer.observe`."""
        self._proposals.check_observed(observation)
        self._observed.append((observation.genome, observation.fitness, observation.error))
        self._missed.append(observation.violations)
        self._model = None

    def recommend(self) -> Genome | None:
        """Where the model expects the most, unless that was tried; None of several objectives, and
        before the model is asked.
        """
        if self._problem.objectives > 1 or not self._is_known:
            return None
        with self._isolation():
            best: Genome | None = self._fitted().best(self._tried)
        return best

    def least_budget(self, landmarks: int) -> LeastBudget:
        """The first points, and one of the model's."""
        first = max(self._config.startup, landmarks)
        why = f"{first} first points, {landmarks} warm starts among them, and one more"
        return LeastBudget(first + 1, why)

    @property
    def _known(self) -> list[Known]:
        return self._observed + self._told

    @property
    def _tried(self) -> set[Genome]:
        genomes = [*(genome for genome, *_ in self._known), *self._open.values()]
        return set(map(self._columns.settled_genome, genomes))

    @property
    def _is_known(self) -> bool:
        """Whether there is enough to model."""
        return sum(fitness is not None for _, fitness, _ in self._known) >= LEAST

    @property
    def _first(self) -> int:
        """Number of proposals that no result has a say in."""
        return max(self._config.startup - len(self._observed), 0)

    def _take(self, genomes: Sequence[Genome]) -> list[Proposal]:
        proposals = self._proposals.ask(genomes)
        self._open |= {proposal.id: proposal.genome for proposal in proposals}
        return proposals

    def _next(self, number: int, pending: Sequence[Genome]) -> Genome:
        if number < self._first or not self._is_known:
            return self._design(number)
        with self._isolation():
            tried = self._tried | set(map(self._columns.settled_genome, pending))
            genome: Genome = self._fitted().next(pending, tried, self._seed(number))
        return genome

    def _design(self, number: int) -> Genome:
        """Point `number` of a scrambled Sobol sequence, in quantiles of where a search begins."""
        with self._isolation():
            point = self._library.sobol(len(self._problem.genes), number, self._problem.seed)
        return at_quantiles(self._columns.genes, SIGMA, point)

    def _fitted(self) -> Any:
        if self._model is None:
            self._model = self._library.Surrogate(
                self._columns,
                self._known,
                violations=self._missed if self.takes_constraints else (),
                importance=self._problem.importance,
                samples=self._config.samples,
                restarts=self._config.restarts,
                raw=self._config.raw,
            )
        return self._model

    def _seed(self, number: int) -> int:
        stream = np.random.SeedSequence(self._problem.seed, spawn_key=(number,))
        return int(stream.generate_state(1)[0])


def _library() -> Any:
    """The module that knows BoTorch, imported in isolation.

    Raises:
        ConfigError: BoTorch is not installed, or not whole.
    """
    try:
        with Isolation(0)():
            return importlib.import_module("evomerge.optimizers.gaussian_process")
    except ModuleNotFoundError as missing:
        package = (missing.name or "a package").partition(".")[0]
        raise ConfigError(
            f"optimizer.kind: bayes needs BoTorch, and {package} is not installed; `pip"
            " install 'evomerge[bayes]'`, or take the light form"
            " {kind: optuna, sampler: GPSampler}"
        ) from None
