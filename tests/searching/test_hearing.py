"""Optimizers that weigh noise hear of each fitness how far it may be off; the others do not."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

import pytest

from evomerge.cluster.base import Task
from evomerge.cluster.local import InProcess
from evomerge.evaluators.base import Outcome, Report, TaskScore
from evomerge.optimizers.base import Fitness, Observation, Optimizer, Result
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.random import RandomConfig, RandomSearch
from evomerge.optimizers.registry import configure, make
from evomerge.recipe.tree import Merge
from evomerge.study.candidate import Candidate
from tests.sphere import BEST, make_space, search


class Worker:
    """Scores two examples, each by how near one weight is to its best."""

    def perform(self, task: Task) -> Outcome:
        assert isinstance(task.recipe, Merge)
        weights = {name: float(one["weight"]) for name, one in task.recipe.rules[0].inputs.items()}
        score = TaskScore.averaged("closeness", _each(weights))
        return Report(split=task.split, tasks={"sphere": score})


def _each(weights: dict[str, float]) -> list[float]:
    return [1 - abs(weights[name] - BEST[name]) for name in sorted(BEST)]


class Listens(RandomSearch):
    """Random search that notes what it hears."""

    weighs_noise = True

    def __init__(self) -> None:
        super().__init__(RandomConfig(), Problem(genes=make_space().genes, seed=3))
        self.heard: list[Fitness | None] = []

    def observe(self, observation: Observation) -> None:
        super().observe(observation)
        self.heard.append(observation.error)

    def tell(self, results: Sequence[Result]) -> None:
        super().tell(results)
        self.heard += [result.error for result in results]


class Deaf(Listens):
    weighs_noise = False


def searched(folder: Path, optimizer: Optimizer, candidates: int) -> list[Candidate]:
    executor = InProcess(Worker)
    study = search(folder, candidates=candidates, executor=executor, optimizer=optimizer)
    found = list(study.candidates())
    study.close()
    return found


def test_the_error_of_each_fitness_is_told_and_told_again(tmp_path: Path) -> None:
    optimizer, again = Listens(), Listens()
    candidates = searched(tmp_path / "s", optimizer, 7)
    each = [_each({n: float(c.values[f"{n}.weight"]) for n in BEST}) for c in candidates]
    heard = [error[0] for error in optimizer.heard if error is not None]
    assert heard == pytest.approx([statistics.stdev(own) / 2**0.5 for own in each])
    searched(tmp_path / "s", again, 7)
    assert again.heard == optimizer.heard


def test_others_are_told_none(tmp_path: Path) -> None:
    optimizer = Deaf()
    searched(tmp_path / "s", optimizer, 5)
    assert optimizer.heard == [None] * 5


def test_bayes_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    pytest.importorskip("botorch", reason="the extra bayes")
    quick = {"kind": "bayes", "startup": 5, "samples": 8, "restarts": 1, "raw": 16}
    config = configure(quick, origin="test")

    def bayes() -> Optimizer:
        return make(config, make_space().genes, seed=5)

    whole = searched(tmp_path / "whole", bayes(), 11)
    searched(tmp_path / "parts", bayes(), 8)
    parts = searched(tmp_path / "parts", bayes(), 11)
    assert [c.genome for c in parts] == [c.genome for c in whole]
