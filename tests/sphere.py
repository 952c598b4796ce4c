"""A search without a model: real study, optimizer, space and executor, a formula for a benchmark.

Run as a program it searches (or goes on) in a folder; the crash tests kill it at random moments.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from evomerge.cluster.base import Executor, Task
from evomerge.cluster.config import RayConfig
from evomerge.cluster.local import InProcess
from evomerge.config import Budget
from evomerge.evaluators.base import Failure, Outcome, Report, TaskScore
from evomerge.evaluators.objective import Objective
from evomerge.optimizers.base import Optimizer
from evomerge.optimizers.registry import configure, make
from evomerge.recipe.genome import Genome
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge
from evomerge.search_spaces.base import SearchSpace
from evomerge.search_spaces.parameter import ParameterSpace
from evomerge.search_spaces.parameter_config import ParameterSpaceConfig
from evomerge.searching.loop import Search
from evomerge.study.record import Study
from evomerge.value import Value, parse
from tests.facts import Facts

BEST = {"json": 0.3, "math": 0.8}


class Sphere(Value):
    """How long an evaluation takes, where to note it, and whether its examples are told."""

    seconds: float = 0.0
    notes: str | None = None
    most: int | None = None
    """With so many notes an evaluation does not end any more."""
    examples: bool = True


def notes_in(path: str) -> int:
    """How many evaluations have begun."""
    return len(Path(path).read_text().split())


class Worker:
    """Scores a recipe by the distance of its weights from `BEST`; weights above 0.98 fail."""

    def __init__(self, config: Sphere) -> None:
        self._config = config

    def perform(self, task: Task) -> Outcome:
        time.sleep(self._config.seconds)
        if self._config.notes:
            with Path(self._config.notes).open("a") as file:
                file.write(f"{task.id}\n")
            while self._config.most and notes_in(self._config.notes) >= self._config.most:
                time.sleep(0.01)
        assert isinstance(task.recipe, Merge)
        weights = {name: float(one["weight"]) for name, one in task.recipe.rules[0].inputs.items()}
        if max(weights.values()) > 0.98:
            return Failure(cause="candidate", message="too heavy")
        distance = sum((weights[name] - BEST[name]) ** 2 for name in BEST)
        each = tuple(1 - abs(weights[name] - BEST[name]) for name in BEST)
        examples = each if self._config.examples else ()
        score = TaskScore(metric="closeness", value=1 - distance, examples=examples)
        return Report(split=task.split, tasks={"sphere": score})


def make_space() -> ParameterSpace:
    config = {
        "kind": "parameter",
        "base": "base",
        "method": "task_arithmetic",
        "genes": {"weight": [0, 1]},
    }
    sources = {name: Source(model=f"/models/{name}") for name in ("base", "json", "math")}
    return ParameterSpace(parse(ParameterSpaceConfig, config, origin="space"), sources, Facts())


def make_optimizer(kind: str, seed: int = 5, **options: Any) -> Optimizer:
    config = configure({"kind": kind, **options}, origin="test")
    return make(config, make_space().genes, seed=seed, workers=2)


def make_executor(kind: str, config: Sphere) -> Executor:
    if kind == "in_process":
        return InProcess(partial(Worker, config))
    from evomerge.cluster.ray import RayExecutor

    return RayExecutor(RayConfig(workers=2, dashboard=False), "tests.sphere:Worker", config)


def open_study(folder: Path) -> Study:
    if (folder / "study.json").exists():
        return Study.open(folder, write=True)
    return Study.create(folder, name="sphere", job={}, genes=make_space().genes)


def search(
    folder: Path,
    *,
    candidates: int | None = None,
    evaluations: int | None = None,
    executor: Executor,
    optimizer: Optimizer | None = None,
    study: Study | None = None,
    space: SearchSpace | None = None,
    landmarks: Mapping[str, Genome] | None = None,
    target: float | tuple[float, ...] | None = None,
    patience: int | None = None,
    objective: Objective | None = None,
    **more: Any,
) -> Study:
    """Search in a folder, or go on in it, to the end of the budget; the study is left open.

    `study`: one that is open already; `space`, `landmarks`: instead of the usual ones; `more`: of
    `Search`.
    """
    study, space = study or open_study(folder), space or make_space()
    budget = {
        "candidates": candidates,
        "evaluations": evaluations,
        "target": target,
        "patience": patience,
    }
    Search(
        study,
        space,
        optimizer or make_optimizer("cma_es"),
        executor,
        objective or Objective({"sphere": 1.0}),
        evaluator="e" * 64,
        budget=parse(Budget, budget, origin="budget"),
        landmarks=space.landmarks() if landmarks is None else landmarks,
        **more,
    ).run()
    return study


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--executor", default="in_process")
    parser.add_argument("--candidates", type=int, default=40)
    parser.add_argument("--evaluations", type=int, help="instead of candidates")
    parser.add_argument("--optimizer", default="cma_es")
    parser.add_argument("--seconds", type=float, default=0.02)
    parser.add_argument("--notes")
    parser.add_argument("--most", type=int)
    given = parser.parse_args()
    worker = Sphere(seconds=given.seconds, notes=given.notes, most=given.most)
    made = make_executor(given.executor, worker)
    search(
        given.folder,
        candidates=None if given.evaluations else given.candidates,
        evaluations=given.evaluations,
        executor=made,
        optimizer=make_optimizer(given.optimizer),
    ).close()
    made.close()
