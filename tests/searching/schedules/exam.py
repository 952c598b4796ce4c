"""Searches over an exam of 96 questions, each of which has a best recipe of its own near one that
all share: without a model, with what makes few examples mislead (luck, easy and hard questions)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from evomerge.config import SCHEDULES
from evomerge.evaluators.base import Report, Selection, TaskScore
from evomerge.evaluators.objective import Objective
from evomerge.evaluators.objective_config import ObjectiveConfig
from evomerge.evaluators.selection import join
from evomerge.optimizers.base import Fitness, Observation, Result
from evomerge.recipe.digest import digest
from evomerge.recipe.genome import Genome
from evomerge.recipe.tree import Merge, Recipe
from evomerge.searching.schedule import (
    Decision,
    Finished,
    Paused,
    Schedule,
    Stage,
    Stopped,
    release,
)
from evomerge.searching.schedules.examples import ExampleOrder
from evomerge.searching.schedules.halving import HalvingConfig
from evomerge.study.candidate import Candidate
from tests.sphere import make_optimizer, make_space

__all__ = [
    "LIGHT",
    "OBJECTIVE",
    "SIZE",
    "SIZES",
    "Exam",
    "Trial",
    "candidate",
    "order",
    "report",
    "schedule",
]

SIZE = 96
SIZES = {"sphere": SIZE}
OBJECTIVE = Objective({"sphere": 1.0})


class Exam:
    """Which questions a recipe answers; a pure function of seed and recipe."""

    def __init__(self, seed: int) -> None:
        draws = np.random.default_rng(seed)
        self._best = draws.uniform(0.25, 0.75, 2) + draws.normal(0, 0.1, (SIZE, 2))
        self._hard = draws.normal(0, 1.5, SIZE)
        self._seed = seed

    def skill(self, recipe: Recipe) -> float:
        """What it would score in an exam without end."""
        hard = np.linspace(-3, 3, 41)
        return float(np.mean(1 / (1 + np.exp(hard[None, :] - self._ability(recipe)[:, None]))))

    def scores(self, recipe: Recipe) -> tuple[float, ...]:
        """1 for each question that it answers, else 0."""
        own = int(digest(recipe)[:12], 16)
        luck = np.random.default_rng([self._seed, own]).logistic(0, 0.6, SIZE)
        return tuple((self._ability(recipe) + luck > self._hard).astype(float).tolist())

    def _ability(self, recipe: Recipe) -> Any:
        assert isinstance(recipe, Merge)
        weights = [float(one["weight"]) for one in recipe.rules[0].inputs.values()]
        return 2 - 16 * ((np.array(weights) - self._best) ** 2).sum(axis=1)


LIGHT = Objective({"sphere": 1.0}, ObjectiveConfig(constraints=("layers <= 30",)))
"""One that asks for models of few layers."""


def report(scores: Sequence[float], places: Selection | None = None, **facts: Any) -> Report:
    """Over all questions or some, of one task."""
    kept = scores if places is None else [scores[place] for place in places["sphere"]]
    tasks = {"sphere": TaskScore.averaged("right", kept)}
    return Report(split="search", tasks=tasks, places=places, **facts)


def schedule(seed: int = 0, objective: Objective = OBJECTIVE, **settings: Any) -> Schedule:
    """The schedule of these settings, as a job has them."""
    config = SCHEDULES.config(settings)
    more = {} if config.kind == "whole" else {"objective": objective}
    sizes = dict.fromkeys(objective.weights, SIZE)
    made: Schedule = SCHEDULES.make(config, sizes=sizes, seed=seed, **more)
    return made


def order() -> ExampleOrder:
    """Of the questions, with seed 0."""
    return ExampleOrder(HalvingConfig(), sizes=SIZES, tasks=OBJECTIVE.weights, seed=0)


def candidate(number: int, proposal: int | None = None, genome: Genome = (0.5, 0.5)) -> Candidate:
    """One that was asked; a landmark where it is no proposal."""
    return Candidate(
        number=number,
        proposed_by="landmark" if proposal is None else "optimizer",
        label=None,
        proposal=proposal,
        genome=genome,
        values={},
        recipe={},
        digest=str(number),
        asked=0,
        asked_s=0.0,
    )


class Trial:
    """A search over the exam of a seed by one worker, without a record: it costs no disk."""

    def __init__(self, seed: int, *, tells: bool = True, **settings: Any) -> None:
        """`tells`: whether the optimizer hears what the schedule says of stopped candidates."""
        self.exam, self.scored, self._tells = Exam(seed), 0, tells
        self._schedule = schedule(seed, **settings)
        self._optimizer = make_optimizer("cma_es", seed=seed)
        self._space = make_space()
        self.done: list[tuple[float, Genome]] = []
        self.stopped: list[Stopped] = []
        self._waiting: dict[int, tuple[Candidate, Report]] = {}

    def run(self, candidates: int = 50) -> float:
        """The skill of the best that was scored on everything."""
        landmarks = list(self._space.landmarks().values())
        for number, genome in enumerate(landmarks):
            self._go_on(candidate(number, None, genome), None)
            self._optimizer.observe(Observation(genome, (self.done[-1][0],)))
        asked = len(landmarks)
        while self._resume() or asked < candidates or self._waiting:
            if asked < candidates and (proposals := self._optimizer.ask(1)):
                new = candidate(asked, proposals[0].id, proposals[0].genome)
                self._go_on(new, None)
                asked += 1
            elif self._waiting:
                first = min(self._waiting)
                one, so_far = self._waiting.pop(first)
                self._end(one, release(self._schedule, one, so_far))
        return self.exam.skill(self._space.recipe(max(self.done)[1]))

    def _resume(self) -> bool:
        for number, (one, so_far) in sorted(self._waiting.items()):
            if not isinstance(self._schedule.next(one, so_far), Paused):
                del self._waiting[number]
                self._go_on(one, so_far)
                return True
        return False

    def _go_on(self, one: Candidate, so_far: Report | None) -> None:
        while True:
            match self._schedule.next(one, so_far):
                case Stage(examples=examples):
                    part = report(self.exam.scores(self._space.recipe(one.genome)), examples)
                    self.scored += len(part.tasks["sphere"].examples)
                    so_far = part if so_far is None else join([so_far, part], SIZES)
                case Paused():
                    assert so_far is not None
                    self._waiting[one.number] = one, so_far
                    return None
                case Finished():
                    assert so_far is not None
                    self.done.append((OBJECTIVE(so_far)[0], one.genome))
                    return self._tell(one, OBJECTIVE(so_far))
                case Stopped() as stopped:
                    return self._end(one, stopped)

    def _end(self, one: Candidate, decision: Decision) -> None:
        assert isinstance(decision, Stopped)
        self.stopped.append(decision)
        self._tell(one, decision.fitness if self._tells else None)

    def _tell(self, one: Candidate, fitness: Fitness | None) -> None:
        if one.proposal is not None:
            self._optimizer.tell([Result(one.proposal, fitness)])
