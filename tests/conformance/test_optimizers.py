"""Every built-in optimizer keeps the contract, and the suite notices those that do not."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext as does_not_raise
from typing import Any

import numpy as np
import pytest

from evomerge.conformance.optimizers import FLOATS, LAWS, MIXED, ONE, LawBroken, Subject
from evomerge.optimizers.base import Observation, Proposal, Result
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.random import RandomConfig, RandomSearch
from evomerge.optimizers.registry import configure, make
from evomerge.recipe.genome import ChoiceGene, FloatGene, Gene, Genome

BEGUN: tuple[Gene, ...] = (
    ChoiceGene(name="method", choices=("linear", "ties", "slerp"), odds=(0.5, 0.2, 0.3)),
    *(FloatGene(name=f"x{i}", low=0, high=2, start=1.4) for i in range(3)),
    ChoiceGene(name="sign", choices=("sum", "count"), odds=(0.2, 0.8)),
)
"""Genes that say where a search begins."""

SPACES: dict[str, tuple[Gene, ...]] = {
    "floats": FLOATS,
    "mixed": MIXED,
    "one": ONE,
    "begun": BEGUN,
}

GENERATIONAL: list[dict[str, Any]] = [
    {"kind": "cma_es"},
    {"kind": "cma_es", "restarts": "ipop"},
    {"kind": "cma_es", "restarts": "bipop", "popsize": 4},
    {"kind": "cma_es", "discrete": "integer"},
    {"kind": "cma_es", "discrete": "margin"},
    {"kind": "cma_es", "discrete": "margin", "covariance": "separable"},
    {"kind": "cma_es", "discrete": "margin", "restarts": "bipop", "popsize": 4},
    {"kind": "cma_es", "discrete": "margin", "conditional": True},
    {"kind": "catcma"},
]
ADAPTED: dict[str, Any] = {"kind": "cma_es", "lr_adapt": True}
ASYNCHRONOUS: list[tuple[dict[str, Any], str]] = [
    ({"kind": "cma_es", "asynchronous": True}, "mixed"),
    ({"kind": "cma_es", "asynchronous": True, "restarts": "bipop", "popsize": 4}, "one"),
    ({"kind": "cma_es", "asynchronous": True, "discrete": "integer"}, "mixed"),
    ({"kind": "cma_es", "asynchronous": True, "discrete": "threshold"}, "floats"),
    ({"kind": "cma_es", "asynchronous": True, "covariance": "separable"}, "begun"),
    ({"kind": "cma_es", "asynchronous": True, "conditional": True}, "begun"),
]
"""Each with its space."""
IN_THREAD: dict[str, Any] = {"kind": "nevergrad", "optimizer": "SQP"}
SOUP: dict[str, Any] = {"kind": "greedy_soup"}
ONE_SHOT: dict[str, Any] = {"kind": "nevergrad", "optimizer": "ScrHammersleySearch"}

CYCLE: dict[str, Any] = {"kind": "cycle_qd"}
NICHES: list[dict[str, Any]] = [
    {"kind": "natural_niches", "mutation": 0.1},
    {"kind": "natural_niches", "mutation": 0.1, "attraction": False, "split": "none"},
    {"kind": "natural_niches", "mutation": 0.1, "crossover": "linear", "shift": True},
    {"kind": "natural_niches", "mutation": 0.1, "crossover": "none", "warm_up": 9},
    {"kind": "natural_niches", "mutation": 0.1, "angle": "segment", "alpha": 0.5, "archive": 4},
    {"kind": "genetic_merge", "mutation": 0.1},
    {"kind": "map_elites", "mutation": 0.1},
    {"kind": "map_elites", "mutation": 0.1, "draw": "quality", "warm_up": 9},
    CYCLE,
    {"kind": "cma_niches"},
    {"kind": "cma_niches", "share": 0.4, "archive": 4, "emitter": {"asynchronous": True}},
    {"kind": "cma_niches", "shift": True, "emitter": {"discrete": "integer", "popsize": 5}},
]
MERGES: dict[str, Any] = {"kind": "random_merge"}

LONG = {"cma_es", "nevergrad", "optuna"}
"""All cases together take more than ten seconds."""
LIBRARIES = {"nevergrad", "optuna"}
SHORT_BUDGET = 48
"""With which libraries improve on the spaces beside the one that each is always tried on."""
BUDGETS_OF_LIBRARIES = {True: 60, False: 24}
"""With which libraries keep the other laws, on the space that each is always tried on, in which
populations breed more than once, and on the others: they take most of the time."""

# Each with the space that it is always tried on; the others are for `slow`.
OTHERS: list[tuple[dict[str, Any], str]] = [
    ({"kind": "nevergrad", "optimizer": "OnePlusOne"}, "mixed"),
    ({"kind": "nevergrad", "optimizer": "DE"}, "floats"),
    ({"kind": "nevergrad", "optimizer": "TBPSA"}, "floats"),
    ({"kind": "nevergrad", "optimizer": "CMA"}, "floats"),
    ({"kind": "nevergrad", "optimizer": "NgIohTuned"}, "one"),
    (IN_THREAD, "floats"),
    (ONE_SHOT, "floats"),
    ({"kind": "optuna", "sampler": "TPESampler"}, "mixed"),
    ({"kind": "optuna", "sampler": "TPESampler", "options": {"constant_liar": True}}, "one"),
    ({"kind": "optuna", "sampler": "NSGAIISampler", "options": {"population_size": 12}}, "mixed"),
    ({"kind": "optuna", "sampler": "NSGAIIISampler", "options": {"population_size": 12}}, "mixed"),
    ({"kind": "optuna", "sampler": "QMCSampler"}, "mixed"),
    ({"kind": "optuna", "sampler": "RandomSampler"}, "one"),
    ({"kind": "genetic"}, "mixed"),
    ({"kind": "random"}, "mixed"),
    *((options, "mixed") for options in NICHES),
    (MERGES, "mixed"),
]


def active(genome: Genome) -> list[bool]:
    """As if the second gene mattered only where the last one has its first value."""
    return [i != 1 or genome[-1] == "sum" for i in range(len(genome))]


def subject(
    options: dict[str, Any], genes: tuple[Gene, ...], objectives: int = 1, budget: int = 120
) -> Subject:
    config = configure(options, origin="test")
    # A local search; one that visits corners alone, of which the first are the best here; and those
    # that stay between two random points, of which the best may lie there or not.
    gains = {name_of(IN_THREAD): 0.9, name_of(SOUP): 1.0, name_of(MERGES): 1.0, name_of(CYCLE): 1.0}
    usual = 0.5 if budget > SHORT_BUDGET else 0.6

    def build(problem: Problem) -> Any:
        return make(
            config,
            problem.genes,
            seed=problem.seed,
            objectives=problem.objectives,
            workers=problem.workers,
            budget=problem.budget,
            active=active,
        )

    return Subject(
        make=build,
        genes=genes,
        objectives=objectives,
        generational=options in (*GENERATIONAL, ADAPTED),
        seeded=options not in (IN_THREAD, ONE_SHOT),
        budget=budget,
        gain=gains.get(name_of(options), usual),
    )


def name_of(options: dict[str, Any]) -> str:
    return "-".join(str(value) for value in options.values())


CASES = [
    *((options, space, True) for options in GENERATIONAL for space in SPACES),
    *((options, space, space == always) for options, always in OTHERS for space in SPACES),
    *((options, space, True) for options, space in ASYNCHRONOUS),
    *((ADAPTED, space, True) for space in ("floats", "one")),
    (SOUP, "floats", True),  # it takes weights alone, and more than one
]


def budget_of(options: dict[str, Any], always: bool, law: str) -> int:
    if options["kind"] not in LIBRARIES:
        return 120
    if law == "improves":
        return 120 if always else SHORT_BUDGET
    return BUDGETS_OF_LIBRARIES[always]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(
    ("options", "space", "always"),
    [
        pytest.param(
            options,
            space,
            always,
            id=f"{name_of(options)}-{space}",
            marks=() if always and options["kind"] not in LONG else pytest.mark.slow,
        )
        for options, space, always in CASES
    ],
)
def test_built_in(options: dict[str, Any], space: str, always: bool, law: str) -> None:
    with does_not_raise():
        LAWS[law](subject(options, SPACES[space], budget=budget_of(options, always, law)))


TWO_OBJECTIVES: list[dict[str, Any]] = [
    {"kind": "nevergrad", "optimizer": "DE"},
    {"kind": "nevergrad", "optimizer": "CMA"},
    {"kind": "optuna", "sampler": "NSGAIISampler", "options": {"population_size": 12}},
    {"kind": "optuna", "sampler": "NSGAIIISampler", "options": {"population_size": 12}},
    {"kind": "random"},
]


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("options", TWO_OBJECTIVES, ids=name_of)
def test_two_objectives(options: dict[str, Any], law: str) -> None:
    budget = budget_of(options, True, law)
    with does_not_raise():
        LAWS[law](subject(options, FLOATS, objectives=2, budget=budget))


class Same(RandomSearch):
    """Keeps the contract; those below break one law of it each."""

    asked = 0
    first: Genome | None = None

    def ask(self, limit: int) -> list[Proposal]:
        proposals = super().ask(limit)
        if not self.asked:
            self.first = proposals[0].genome
        self.asked += len(proposals)
        return proposals


class RepeatsItself(Same):
    def ask(self, limit: int) -> list[Proposal]:
        first, *rest = super().ask(limit)
        return [first, *(Proposal(q.id, first.genome) for q in rest)]


class LeavesTheBox(Same):
    def ask(self, limit: int) -> list[Proposal]:
        shifted = [tuple(float(x) + 0.2 for x in q.genome) for q in super().ask(limit)]
        return [Proposal(i, genome) for i, genome in enumerate(shifted)]


class DrawsFromGlobals(Same):
    def ask(self, limit: int) -> list[Proposal]:
        return [Proposal(q.id, (np.random.rand(), *q.genome[1:])) for q in super().ask(limit)]


class Stalls(Same):
    def ask(self, limit: int) -> list[Proposal]:
        return super().ask(limit) if self.asked < 50 else []


class TakesAnything(Same):
    def tell(self, results: Sequence[Result]) -> None:
        pass

    def observe(self, observation: Observation) -> None:
        pass


class TellsByHalves(Same):
    def tell(self, results: Sequence[Result]) -> None:
        for result in results:
            super().tell([result])


class RemembersOrder(Same):
    """Generations of 20, whose seed is the order in which the answers to the last one came."""

    order = 0

    def ask(self, limit: int) -> list[Proposal]:
        limit = min(limit, 20 - self.asked % 20)
        return [
            Proposal(q.id, ((hash((self.order, q.id)) % 1009) / 1009, *q.genome[1:]))
            for q in super().ask(limit)
        ]

    def tell(self, results: Sequence[Result]) -> None:
        super().tell(results)
        for result in results:
            self.order = hash((self.order, result.id))


class DrawsWhenRecommending(Same):
    def recommend(self) -> Genome | None:
        self.ask(1)
        return None


class RecommendsTheTried(Same):
    def recommend(self) -> Genome | None:
        return self.first


class DiesOfFailures(Same):
    def tell(self, results: Sequence[Result]) -> None:
        super().tell(results)
        for result in results:
            if result.fitness is None:
                raise RuntimeError("no fitness")


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (RepeatsItself, "batching_is_invisible"),
        (LeavesTheBox, "genomes_are_valid"),
        (DrawsFromGlobals, "replays"),
        (DrawsFromGlobals, "globals_are_untouched"),
        (Stalls, "goes_on_beyond_its_budget"),
        (TakesAnything, "bad_tells_change_nothing"),
        (TakesAnything, "observes_before_asking"),
        (TellsByHalves, "bad_tells_change_nothing"),
        (RemembersOrder, "order_of_arrival_is_invisible"),
        (DrawsWhenRecommending, "replays"),
        (RecommendsTheTried, "recommends_a_genome"),
        (DiesOfFailures, "failures_are_not_fatal"),
    ],
)
def test_the_suite_notices(broken: type[RandomSearch], law: str) -> None:
    def build(problem: Problem) -> RandomSearch:
        return broken(RandomConfig(), problem)

    with pytest.raises((LawBroken, RuntimeError, ValueError)):
        LAWS[law](Subject(make=build, generational=True))


def test_the_suite_notices_a_search_that_learns_nothing() -> None:
    def build(problem: Problem) -> RandomSearch:
        return RandomSearch(RandomConfig(), problem)

    with pytest.raises(LawBroken, match="factor"):
        LAWS["improves"](Subject(make=build, gain=0.02))
