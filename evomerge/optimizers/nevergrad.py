"""Any optimizer of Nevergrad by name.

Rapin & Teytaud 2018, "Nevergrad: a gradient-free optimization platform"; the names are those of
`nevergrad.optimizers.registry`.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from pydantic import Field

from evomerge.errors import ConfigError, did_you_mean
from evomerge.optimizers.base import Fitness, Observation, OptimizerConfig, Proposal, Result
from evomerge.optimizers.failure import worse_than
from evomerge.optimizers.isolation import Isolation, quiet
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.proposals import Proposals
from evomerge.recipe.genome import ChoiceGene, Genome, Scalar

__all__ = ["Nevergrad", "NevergradConfig", "library", "parametrization"]


T = TypeVar("T")

FLOATS = "floats in [0, 1]"
"""The parameter that holds all floats; no gene is called so."""

UNKNOWN_SCALE = -1e6
"""The fitness of a failure while no candidate has succeeded: below any known score."""


class NevergradConfig(OptimizerConfig):
    """One optimizer of Nevergrad's registry, under its name there."""

    kind: Literal["nevergrad"] = "nevergrad"
    citation: ClassVar[str] = (
        "Rapin & Teytaud 2018, Nevergrad: a gradient-free optimization platform"
    )
    optimizer: str = "NGOpt"
    """A name in `nevergrad.optimizers.registry`; NGOpt chooses one by genes, budget and workers.
    With `options` a name in `nevergrad.families`."""
    options: Mapping[str, Any] = Field(default_factory=dict)
    """Keyword arguments of a family: {optimizer: ConfPSO, options: {popsize: 7}} is a swarm of 7
    that moves as PSO-Merging's (arXiv 2508.19839); PSO and RealSpacePSO have 40,
    of which the first 40 evaluations are drawn at random."""


class Nevergrad:
    """Asks and tells one by one, as Nevergrad does.

    It is given the problem's budget and workers, which its meta-optimizers choose by, and never has
    more proposals open than workers (one, for those that work in sequence only): `ask` returns
    fewer instead. One that has nothing to ask beyond its budget begins again. Several objectives
    are Nevergrad's own affair (a hypervolume for most of its optimizers). A failure is told as a
    loss beyond the worst so far, since Nevergrad has no word for failure, and infinite losses break
    the optimizers that average or fit a model.

    Some optimizers cannot replay, so that a study of theirs cannot be resumed: those that seed from
    the clock (CmaFmin2 and the Carola family, which call pycma's `fmin`) and those that stop an
    inner search by it (the image and voxel metamodels).
    """

    config = NevergradConfig

    def __init__(self, config: NevergradConfig, problem: Problem) -> None:
        self._library = library()
        self._kind = _kind(self._library, config)
        self._problem, self._genes = problem, problem.scalars("nevergrad")
        self._proposals = Proposals(problem)
        self._isolation = Isolation(problem.seed)
        self._limit = 1 if self._kind.no_parallelization else problem.workers
        try:
            with self._isolation():
                self._optimizer = self._begin()
        except Exception as error:
            raise ConfigError(
                f"nevergrad's {config.optimizer} does not fit this search: {error}"
            ) from error
        self._asked: dict[int, tuple[Any, Any]] = {}
        """Open proposals: the optimizer that asked, and its candidate."""
        self._untold: list[Result] = []
        self._tried: set[Genome] = set()
        self._extremes: list[tuple[float, float]] | None = None
        """Worst and best fitness so far, for each objective."""

    def ask(self, limit: int) -> list[Proposal]:
        """The next proposals; see `Optimizer.ask`."""
        proposals: list[Proposal] = []
        while len(proposals) < limit and self._proposals.open < self._limit:
            with self._isolation():
                candidate = _daemonic(self._next)
            if candidate is None:
                break
            proposals += self._proposals.ask([self._genome(candidate)])
            self._asked[proposals[-1].id] = self._optimizer, candidate
            self._tried.add(proposals[-1].genome)
        return proposals

    def tell(self, results: Sequence[Result]) -> None:
        """Take results; see `Optimizer.tell`."""
        # Nevergrad is told when it is asked next: some of its optimizers think in a thread between
        # a tell and an ask, and only so are all their draws made inside this optimizer's isolation.
        self._proposals.close(results)
        self._untold += results

    def observe(self, observation: Observation) -> None:
        """Take a known point; see `Optimizer.observe`."""
        self._proposals.check_observed(observation)
        self._tried.add(observation.genome)
        with self._isolation(), suppress(self._library.errors.TellNotAskedNotSupportedError):
            # Those that cannot be told points that they did not ask for go on without.
            value = self._value(observation.genome)
            candidate = self._optimizer.parametrization.spawn_child(new_value=value)
            self._tell(self._optimizer, candidate, observation.fitness)

    def recommend(self) -> Genome | None:
        """What Nevergrad recommends, unless that is one of the candidates tried."""
        with self._isolation():
            self._tell_untold()
        if self._problem.objectives > 1 or self._extremes is None:
            return None
        generator = self._optimizer.parametrization.random_state
        state = generator.get_state()
        # Generators that are thrown away: asking for a recommendation must not change the search.
        with Isolation(self._problem.seed)():
            genome = self._genome(self._optimizer.provide_recommendation())
        generator.set_state(state)
        return None if genome in self._tried else genome

    def _begin(self) -> Any:
        space = parametrization(self._library, self._genes)
        return self._kind(space, budget=self._problem.budget, num_workers=self._limit)

    def _next(self) -> Any:
        """The next candidate, or None if a result must come first."""
        self._tell_untold()
        try:
            return self._optimizer.ask()
        except self._library.optimization.recaster.TooManyAskError:
            return None
        except AssertionError:  # how its one-shot designs say that they are over
            if self._optimizer.num_ask < (self._problem.budget or math.inf):
                raise
            self._optimizer = self._begin()
            return self._optimizer.ask()

    def _tell_untold(self) -> None:
        for result in self._untold:
            self._tell(*self._asked.pop(result.id), result.fitness)
        self._untold.clear()

    def _tell(self, optimizer: Any, candidate: Any, fitness: Fitness | None) -> None:
        if fitness is not None:
            seen = self._extremes or [(f, f) for f in fitness]
            self._extremes = [
                (min(low, f), max(high, f)) for (low, high), f in zip(seen, fitness, strict=True)
            ]
        elif self._extremes is not None:
            fitness = tuple(worse_than(extremes) for extremes in self._extremes)
        else:
            fitness = (UNKNOWN_SCALE,) * self._problem.objectives
        optimizer.tell(candidate, [-f for f in fitness])

    def _genome(self, candidate: Any) -> Genome:
        floats = iter(candidate.value.get(FLOATS, ()))
        return tuple(
            candidate.value[gene.name]
            if isinstance(gene, ChoiceGene)
            else min(max(float(next(floats)), 0.0), 1.0)
            for gene in self._genes
        )

    def _value(self, genome: Genome) -> dict[str, Any]:
        pairs = list(zip(self._genes, genome, strict=True))
        value: dict[str, Any] = {g.name: v for g, v in pairs if isinstance(g, ChoiceGene)}
        if floats := [v for g, v in pairs if not isinstance(g, ChoiceGene)]:
            value[FLOATS] = np.array(floats)
        return value


def library() -> Any:
    """Nevergrad, imported in isolation: it seeds nothing but draws from both global generators
    while it is imported, and the scales of some registered optimizers depend on what it draws.

    Raises:
        ConfigError: it is not installed. It is an extra, because it brings a package under the GPL.
    """
    try:
        with Isolation(0)():
            return importlib.import_module("nevergrad")
    except ModuleNotFoundError as missing:
        further = "" if missing.name == "nevergrad" else f" whole ({missing.name} is missing)"
        raise ConfigError(
            f"optimizer.kind: nevergrad is not installed{further}; `pip install"
            " 'evomerge[nevergrad]'` (it brings directsearch, which is under the GPL)"
        ) from None


def _kind(library: Any, config: NevergradConfig) -> Any:
    """What makes the optimizer: a registered one, or a family with options.

    Raises:
        ConfigError: there is none of that name, or it does not take the options.
    """
    families = {name: make for name, make in vars(library.families).items() if callable(make)}
    known = families if config.options else library.optimizers.registry
    if config.optimizer not in known:
        noun = "family" if config.options else "optimizer"
        nearest = did_you_mean(config.optimizer, known)
        raise ConfigError(f"unknown nevergrad {noun} {config.optimizer!r}; {nearest}")
    if not config.options:
        return known[config.optimizer]
    try:
        with quiet():
            return known[config.optimizer](**config.options)
    except (TypeError, ValueError, AssertionError) as error:
        raise ConfigError(f"nevergrad's {config.optimizer}: options: {error}") from error


def _daemonic(call: Callable[[], T]) -> T:
    """Make `call` in a daemon thread, so that the threads it starts are daemons too.

    Those are Nevergrad's optimizers that were not written to be asked. Each waits for results until
    its optimizer is deleted, and would keep the process from ending.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
            outcome.set_exception(error)

    Thread(target=run, daemon=True).start()
    return outcome.result()


def parametrization(library: Any, genes: Sequence[Scalar]) -> Any:
    """The genes as Nevergrad knows them: a choice each, and one array for all floats (a scalar each
    took 285 ms a proposal at 300 genes, this 1 ms).

    The array has the scalar's own settings: sigma 1/6, and initial samples from the whole range.
    Starts are where it begins; it is not told the odds, since its choices have nothing that every
    optimizer would begin with.
    """
    parameters: dict[str, Any] = {
        gene.name: library.p.Choice(gene.choices) for gene in genes if isinstance(gene, ChoiceGene)
    }
    starts = [
        0.5 if gene.start is None else gene.unit(gene.start)
        for gene in genes
        if not isinstance(gene, ChoiceGene)
    ]
    if starts:
        array = library.p.Array(init=np.array(starts)).set_mutation(sigma=1 / 6)
        parameters[FLOATS] = array.set_bounds(0, 1, full_range_sampling=True)
    space = library.p.Dict(**parameters)
    # Drawn inside the optimizer's `Isolation`: seeded, and another one each time.
    space.random_state = np.random.RandomState(np.random.randint(2**32, dtype=np.uint32))
    return space
