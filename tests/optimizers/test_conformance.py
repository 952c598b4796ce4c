"""Every built-in optimizer keeps the contract, and the suite notices those that do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from evomerge.optimizers.base import Answer, Fitness, Question
from evomerge.optimizers.conformance import FLOATS, LAWS, MIXED, ONE, LawBroken, Subject
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.random import RandomConfig, RandomSearch
from evomerge.optimizers.registry import configure, make
from evomerge.recipe.genome import Gene, Genome

SPACES: dict[str, tuple[Gene, ...]] = {"floats": FLOATS, "mixed": MIXED, "one": ONE}

GENERATIONAL = [
    {"kind": "cma_es"},
    {"kind": "cma_es", "restarts": "ipop"},
    {"kind": "cma_es", "restarts": "bipop", "popsize": 4},
]
OTHERS = [
    {"kind": "nevergrad", "optimizer": "OnePlusOne"},
    {"kind": "nevergrad", "optimizer": "DE"},
    {"kind": "nevergrad", "optimizer": "TBPSA"},
    {"kind": "nevergrad", "optimizer": "CMA"},
    {"kind": "nevergrad", "optimizer": "NgIohTuned"},
    {"kind": "nevergrad", "optimizer": "SQP"},  # in a thread, in sequence
    {"kind": "nevergrad", "optimizer": "ScrHammersleySearch"},  # one shot of the whole budget
    {"kind": "optuna", "sampler": "TPESampler"},
    {"kind": "optuna", "sampler": "TPESampler", "options": {"constant_liar": True}},
    {"kind": "optuna", "sampler": "NSGAIISampler", "options": {"population_size": 12}},
    {"kind": "optuna", "sampler": "QMCSampler"},
    {"kind": "optuna", "sampler": "RandomSampler"},
    {"kind": "random"},
]


def subject(options: dict[str, Any], genes: tuple[Gene, ...], objectives: int = 1) -> Subject:
    config = configure(options, origin="test")

    def build(problem: Problem) -> Any:
        return make(
            config,
            problem.genes,
            seed=problem.seed,
            objectives=problem.objectives,
            workers=problem.workers,
            budget=problem.budget,
        )

    return Subject(
        make=build, genes=genes, objectives=objectives, generational=options in GENERATIONAL
    )


def name_of(options: dict[str, Any]) -> str:
    return "-".join(str(value) for value in options.values())


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("options", GENERATIONAL + OTHERS, ids=name_of)
def test_built_in(options: dict[str, Any], space: str, law: str) -> None:
    LAWS[law](subject(options, SPACES[space]))


TWO_OBJECTIVES = [
    {"kind": "nevergrad", "optimizer": "DE"},
    {"kind": "nevergrad", "optimizer": "CMA"},
    {"kind": "optuna", "sampler": "NSGAIISampler", "options": {"population_size": 12}},
    {"kind": "optuna", "sampler": "TPESampler"},
    {"kind": "random"},
]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("options", TWO_OBJECTIVES, ids=name_of)
def test_two_objectives(options: dict[str, Any], law: str) -> None:
    LAWS[law](subject(options, FLOATS, objectives=2))


class Same(RandomSearch):
    """Keeps the contract; those below break one law of it each."""


class RepeatsItself(Same):
    def ask(self, limit: int) -> list[Question]:
        first, *rest = super().ask(limit)
        return [first, *(Question(q.id, first.genome) for q in rest)]


class LeavesTheBox(Same):
    def ask(self, limit: int) -> list[Question]:
        shifted = [tuple(float(x) + 0.2 for x in q.genome) for q in super().ask(limit)]
        return [Question(i, genome) for i, genome in enumerate(shifted)]


class DrawsFromGlobals(Same):
    def ask(self, limit: int) -> list[Question]:
        return [Question(q.id, (np.random.rand(), *q.genome[1:])) for q in super().ask(limit)]


class Stalls(Same):
    def ask(self, limit: int) -> list[Question]:
        return super().ask(limit) if self._questions.asked < 50 else []


class TakesAnything(Same):
    def tell(self, answers: Sequence[Answer]) -> None:
        pass

    def observe(self, genome: Genome, fitness: Fitness) -> None:
        pass


class TellsByHalves(Same):
    def tell(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            super().tell([answer])


class RemembersOrder(Same):
    """Generations of 20, whose seed is the order in which the answers to the last one came."""

    order = 0

    def ask(self, limit: int) -> list[Question]:
        limit = min(limit, 20 - self._questions.asked % 20)
        return [
            Question(q.id, ((hash((self.order, q.id)) % 1009) / 1009, *q.genome[1:]))
            for q in super().ask(limit)
        ]

    def tell(self, answers: Sequence[Answer]) -> None:
        super().tell(answers)
        for answer in answers:
            self.order = hash((self.order, answer.id))


class DrawsWhenRecommending(Same):
    def recommend(self) -> Genome | None:
        self._questions.ask([])
        self._questions.asked += 1
        return None


class RecommendsTheTried(Same):
    def recommend(self) -> Genome | None:
        return self._genome(0)


class DiesOfFailures(Same):
    def tell(self, answers: Sequence[Answer]) -> None:
        super().tell(answers)
        for answer in answers:
            if answer.fitness is None:
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
