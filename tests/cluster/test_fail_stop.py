"""Swaps that are interrupted at the worst moments: no score is made with another's weights."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from torch import Tensor

from evomerge.cluster.base import Task, TaskResult
from evomerge.cluster.local import InProcess
from evomerge.cluster.model_loader import PathLoader
from evomerge.cluster.worker import ModelWorker
from evomerge.cluster.worker_config import MergeLoaderConfig, PathLoaderConfig, WorkerConfig
from evomerge.conformance import tiny_models as tiny
from evomerge.engines.base import WeightSource
from evomerge.engines.config import EngineConfig
from evomerge.errors import CandidateError, InfrastructureError
from evomerge.evaluators.base import Failure, Report
from evomerge.evaluators.registry import read_evaluator
from evomerge.merging.weights import MergedWeights
from evomerge.recipe.digest import digest
from evomerge.recipe.layer_path import Capacity
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Merge, Recipe, Rule, Stack

TEXT = {
    "kind": "text",
    "tasks": {"prose": {"weight": 1}},
    "splits": {"search": "search.txt", "holdout": "holdout.txt"},
    "documents": "lines",
}
TENSORS = 20
"""Of the tiny model."""


class Struck(BaseException):
    """What a signal raises; no `Exception`."""


def _raise(problem: BaseException) -> None:
    raise problem


STROKES: dict[str, Callable[[], None]] = {
    "the merge is undefined": lambda: _raise(CandidateError("undefined")),
    "a file cannot be read": lambda: _raise(OSError("Input/output error")),
    "out of memory": lambda: _raise(MemoryError()),
    "interrupted": lambda: _raise(Struck()),
    "a signal": lambda: os.kill(os.getpid(), signal.SIGURG),
}


@dataclass
class Stroke:
    """Falls once, at a tensor of a load."""

    at: int | None = None
    falls: Callable[[], None] = lambda: None
    fallen: int = 0

    def passed(self, tensors: Iterator[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
        for number, tensor in enumerate(tensors):
            if number == self.at:
                self.at = None
                self.fallen += 1
                self.falls()
            yield tensor


STROKE = Stroke()


@dataclass(frozen=True)
class Interrupted:
    """Weights that a stroke may fall among."""

    weights: WeightSource

    @property
    def digest(self) -> str:
        return self.weights.digest

    def tensors(self, device: str = "cpu") -> Iterator[tuple[str, Tensor]]:
        return STROKE.passed(iter(self.weights.tensors(device)))


class Opened(ModelWorker):
    """A worker whose loader is there to be seen."""

    @property
    def loader(self) -> Any:
        """How recipes get into its engine."""
        return self._loader


class Exposed(ModelWorker):
    """A worker whose engine is given weights that a stroke may fall among."""

    def __init__(self, config: WorkerConfig) -> None:
        super().__init__(config)
        engine = self._loader.engine
        load = engine.load
        vars(engine)["load"] = lambda weights: load(Interrupted(weights))


@dataclass(frozen=True)
class Place:
    """Two recipes, and what makes a worker for them."""

    config: WorkerConfig
    recipes: tuple[Recipe, Recipe]

    def scores(self, recipe: Recipe) -> tuple[float, ...]:
        """By a worker of its own, which nothing happens to."""
        worker = ModelWorker(self.config)
        outcome = worker.perform(Task("alone", recipe, "search"))
        worker.close()
        assert isinstance(outcome, Report), outcome
        return outcome.tasks["prose"].examples


@pytest.fixture(scope="module", params=["merge", "path"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("swaps")
    sources = {
        name: Source(model=str(tiny.build(folder / name, seed=seed)))
        for seed, name in enumerate("ab")
    }
    (folder / "search.txt").write_text("the first line\nand the second\n")
    (folder / "holdout.txt").write_text("of another kind\n")
    return Place(
        WorkerConfig(
            donor=sources["a"],
            engine=EngineConfig(kind="transformers", device="cpu", dtype="float32"),
            evaluator=read_evaluator(TEXT, folder=folder, origin="evaluator"),
            loader=MergeLoaderConfig()
            if request.param == "merge"
            else PathLoaderConfig(capacity=Capacity(layers=2, hops=3)),
        ),
        tuple(_recipes(sources, request.param)),  # type: ignore[arg-type]
    )


def _recipes(sources: Mapping[str, Recipe], loader: str) -> Iterator[Recipe]:
    for share in (0.2, 0.8):
        rule = Rule(inputs={"a": {"weight": share}, "b": {"weight": 1 - share}})
        merge = Merge(method="linear", inputs=sources, rules=(rule,))
        if loader == "merge":
            yield merge
            continue
        hops = tuple(Hop(of="m", layer=layer) for layer in (0, 1, 0))
        yield Stack(inputs={"m": merge}, embedding="m", head="m", hops=hops)


@pytest.mark.parametrize("stroke", STROKES)
def test_no_score_is_made_with_anothers_weights(place: Place, stroke: str) -> None:
    expected = {digest(recipe): place.scores(recipe) for recipe in place.recipes}
    executor = InProcess(lambda: Exposed(place.config), max_attempts=2, candidate_timeout_s=600)
    weights: dict[str, str] = {}
    failed = 0
    before = signal.signal(signal.SIGURG, lambda *_: _raise(Struck()))
    STROKE.falls, STROKE.fallen = STROKES[stroke], 0
    try:
        for at in range(TENSORS + 1):
            for number, recipe in enumerate(place.recipes):
                STROKE.at = at if number else None
                try:
                    result = performed(executor, recipe)
                except Struck:
                    executor.close()  # who is interrupted ends; another sitting goes on
                    executor = InProcess(lambda: Exposed(place.config), max_attempts=2)
                    continue
                if isinstance(result.outcome, Failure):
                    failed += 1
                    assert number == 1, result.outcome
                    assert STROKE.fallen
                    continue
                assert result.outcome.tasks["prose"].examples == expected[digest(recipe)]
                assert result.outcome.weights
                assert weights.setdefault(digest(recipe), result.outcome.weights) == (
                    result.outcome.weights
                )
    finally:
        signal.signal(signal.SIGURG, before)
        STROKE.at = None
    assert STROKE.fallen >= TENSORS
    assert len(set(weights.values())) == 2
    final = stroke in ("the merge is undefined", "a signal")
    assert (failed > 0) == final, "whatever else breaks is tried again"


def performed(executor: InProcess, recipe: Recipe) -> TaskResult:
    executor.submit(Task("task", recipe, "search"))
    (result,) = executor.wait(0)
    return result


def test_a_merge_says_the_recipes_digest(place: Place) -> None:
    worker = ModelWorker(place.config)
    for recipe in place.recipes:
        report = worker.perform(Task("task", recipe, "search"))
        assert isinstance(report, Report)
        is_path = isinstance(recipe, Stack)
        assert (report.weights == digest(recipe)) != is_path
    worker.close()


def test_a_loader_that_leaves_the_old_weights_gets_no_answer(place: Place) -> None:
    """Whoever skips a load by mistake: the engine knows what it holds."""
    worker, (one, other) = Opened(place.config), place.recipes
    assert isinstance(worker.perform(Task("a", one, "search")), Report)
    engine = worker.loader.engine
    vars(engine)["load"] = lambda weights: None
    with pytest.raises(InfrastructureError, match="is asked for those of"):
        worker.perform(Task("b", other, "search"))
    worker.close()


def test_a_path_that_breaks_off_costs_the_pool(place: Place) -> None:
    loader = Opened(place.config).loader
    if not isinstance(loader, PathLoader):
        pytest.skip("of paths")
    one, _ = place.recipes
    loader.load(one)
    engine, held = loader.engine, loader.engine.holds
    vars(engine)["layer_path"] = lambda layer_path: _raise(MemoryError())
    with pytest.raises(MemoryError):
        loader.load(one)
    del vars(engine)["layer_path"]
    loads: list[WeightSource] = []
    load = engine.load

    def noted(weights: WeightSource) -> None:
        loads.append(weights)
        load(weights)

    vars(engine)["load"] = noted
    loader.load(one)
    assert [type(weights) for weights in loads] == [MergedWeights]
    assert engine.holds == held
    engine.close()
