"""Any sampler of Optuna by name.

Akiba et al. 2019, "Optuna: a next-generation hyperparameter optimization framework"; the names are
those of `optuna.samplers`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from evomerge.errors import ConfigError, did_you_mean
from evomerge.optimizers.base import LeastBudget, Observation, OptimizerConfig, Proposal, Result
from evomerge.optimizers.isolation import Isolation, quiet
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.proposals import Proposals
from evomerge.recipe.genome import ChoiceGene, Genome

__all__ = ["Optuna", "OptunaConfig"]


class OptunaConfig(OptimizerConfig):
    """One sampler of `optuna.samplers`, with its own keyword arguments as options.

    In a file they stand beside the sampler: `{kind: optuna, sampler: tpe, n_startup_trials: 20}`.
    TPESampler counts what is running as bad, so that workers do not ask for the same
    (`constant_liar`). It models all genes together (`multivariate`) and then hardly leaves the
    choices that were good first; where genes are choices, take `multivariate: false`.
    """

    other_keys: ClassVar[Mapping[str, Any]] = {"description": "A keyword argument of the sampler."}

    kind: Literal["optuna"] = "optuna"
    citation: ClassVar[str] = "Akiba et al. 2019, Optuna, KDD, arXiv 1907.10902"
    sampler: str = "TPESampler"
    """A class of `optuna.samplers`, with or without `Sampler`, in letters of any size: `tpe`,
    `cma_es`, `nsga_ii`, `gp`, `qmc`."""
    options: Mapping[str, Any] = Field(default_factory=dict)
    """The sampler's own keyword arguments, such as {n_startup_trials: 20}; or write them beside
    `sampler`."""

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, data: Any) -> Any:
        """What is no key of ours is an option of the sampler, which is checked once it is made."""
        if not isinstance(data, Mapping):
            return data
        beside = {name: value for name, value in data.items() if name not in cls.model_fields}
        options = data.get("options")
        if not beside or not isinstance(options, Mapping | None):
            return data
        for name in beside:
            if name in (options or {}):
                raise ValueError(f"{name}: stands here and under options; keep one")
        own = {name: value for name, value in data.items() if name in cls.model_fields}
        return {**own, "options": {**beside, **(options or {})}}


class Optuna:
    """A sampler over an in-memory study of its own; the durable record is kept elsewhere.

    Failures are told as failed trials, which Optuna's samplers leave out. Observations are trials
    that have ended, and part of the first generation of a genetic sampler. Starts and
    odds are not passed on: Optuna has no setting for them.
    """

    config = OptunaConfig

    def __init__(self, config: OptunaConfig, problem: Problem) -> None:
        with quiet():
            self._optuna: Any = importlib.import_module("optuna")
        self._problem = problem
        self._proposals = Proposals(problem)
        self._isolation = Isolation(problem.seed)
        self._observed = 0
        self._distributions = {
            gene.name: self._optuna.distributions.CategoricalDistribution(gene.choices)
            if isinstance(gene, ChoiceGene)
            else self._optuna.distributions.FloatDistribution(0.0, 1.0)
            for gene in problem.scalars("optuna")
        }
        kind, arguments = _sampler(self._optuna.samplers, config, problem.seed)
        self._violations: dict[int, tuple[float, ...]] = {}
        """By trial."""
        takes = "constraints_func" in inspect.signature(kind).parameters
        self.takes_constraints = problem.constraints > 0 and takes
        """Whether the sampler goes by them itself; it learns of a trial's when that is told."""
        if self.takes_constraints:
            arguments["constraints_func"] = self._constraints
        defaults = inspect.signature(kind).parameters.values()
        self._options = {parameter.name: parameter.default for parameter in defaults} | arguments
        try:
            # A sampler says what it cannot do at its first proposals, so a copy is asked for two.
            with Isolation(problem.seed)():
                twin = self._study(kind(**arguments))
                twin.tell(twin.ask(self._distributions), (0.0,) * problem.objectives)
                twin.ask(self._distributions)
            with self._isolation():
                self.in_memory = self._study(kind(**arguments))
                """The sampler's own `optuna.study.Study`: observations, then proposals, as trials.
                """
        except Exception as error:
            raise ConfigError(
                f"optuna's {config.sampler} does not fit this search: {error}"
            ) from error

    def ask(self, limit: int) -> list[Proposal]:
        """The next proposals; see `Optimizer.ask`."""
        with self._isolation():
            trials = [self.in_memory.ask(self._distributions) for _ in range(limit)]
        genes = self._problem.genes
        params = [trial.params for trial in trials]
        return self._proposals.ask(tuple(values[gene.name] for gene in genes) for values in params)

    def tell(self, results: Sequence[Result]) -> None:
        """Take results; see `Optimizer.tell`."""
        self._proposals.close(results)
        failed = self._optuna.trial.TrialState.FAIL
        with self._isolation():
            for result in results:
                if result.fitness is None:
                    self.in_memory.tell(result.id + self._observed, state=failed)
                else:
                    self._violations[result.id + self._observed] = result.violations
                    self.in_memory.tell(result.id + self._observed, result.fitness)

    def observe(self, observation: Observation) -> None:
        """Take a known point; see `Optimizer.observe`."""
        self._proposals.check_observed(observation)
        names = [gene.name for gene in self._problem.genes]
        with self._isolation():
            self.in_memory.add_trial(
                self._optuna.trial.create_trial(
                    params=dict(zip(names, observation.genome, strict=True)),
                    distributions=self._distributions,
                    values=list(observation.fitness),
                    system_attrs=self._of_an_observation(observation),
                )
            )
        self._observed += 1

    def recommend(self) -> Genome | None:
        """None: it recommends only what it tried."""
        return None

    def least_budget(self, landmarks: int) -> LeastBudget | None:
        """The sampler's first trials, which are drawn at random; observations are trials."""
        for option in ("n_startup_trials", "population_size"):
            first = self._options.get(option)
            if isinstance(first, int):
                why = f"{first} first trials, {landmarks} warm starts among them, and one more"
                return LeastBudget(max(first, landmarks) + 1, why)
        return None

    def _of_an_observation(self, observation: Observation) -> dict[str, Any]:
        # Without a generation the genetic samplers never look at a trial.
        genetic = isinstance(self.in_memory.sampler, self._optuna.samplers.BaseGASampler)
        own = {self.in_memory.sampler._get_generation_key(): 0} if genetic else {}
        # What a sampler notes of a trial when that is told, which this one never is.
        return own | {"constraints": observation.violations} if self.takes_constraints else own

    def _constraints(self, trial: Any) -> tuple[float, ...]:
        return self._violations.get(trial.number) or (0.0,) * self._problem.constraints

    def _study(self, sampler: Any) -> Any:
        verbosity = self._optuna.logging.get_verbosity()
        self._optuna.logging.set_verbosity(self._optuna.logging.WARNING)  # it announces each study
        try:
            return self._optuna.create_study(
                sampler=sampler, directions=["maximize"] * self._problem.objectives
            )
        finally:
            self._optuna.logging.set_verbosity(verbosity)


def _sampler(samplers: Any, config: OptunaConfig, seed: int) -> tuple[Any, dict[str, Any]]:
    """The sampler's class and its arguments, the seed among them where it takes one."""
    classes = [name for name in samplers.__all__ if name.endswith("Sampler")]
    known = {_plain(name): name for name in classes if not name.startswith("Base")}
    name = known.get(_plain(config.sampler))
    if name is None:
        hint = did_you_mean(config.sampler, [*known, *known.values()])
        raise ConfigError(f"optimizer.sampler: optuna has no sampler {config.sampler!r}; {hint}")
    kind = getattr(samplers, name)
    takes = inspect.signature(kind).parameters
    for option in config.options:
        if option not in takes:
            hint = did_you_mean(option, [*takes, "sampler"])
            raise ConfigError(f"optimizer: optuna's {name} has no option {option!r}; {hint}")
    seeded = {"seed": seed % 2**32} if "seed" in takes else {}
    return kind, seeded | dict(config.options)


def _plain(name: str) -> str:
    """A sampler's name as people write it: `TPESampler`, `tpe` and `Tpe` are one."""
    return name.lower().replace("_", "").removesuffix("sampler")
