"""A worker with a real engine and a real evaluator, as its configuration tells it."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file

from evomerge.cluster.base import Task
from evomerge.cluster.worker import ModelWorker
from evomerge.cluster.worker_config import (
    LoaderConfig,
    MergeLoaderConfig,
    PathLoaderConfig,
    WorkerConfig,
)
from evomerge.conformance import tiny_models as tiny
from evomerge.engines.config import EngineConfig
from evomerge.errors import SourceError
from evomerge.evaluators.base import Failure, Report
from evomerge.evaluators.registry import read_evaluator
from evomerge.recipe.layer_path import Capacity
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Stack

TEXT = {
    "kind": "text",
    "tasks": {"prose": {"weight": 1}},
    "splits": {"search": "search.txt", "holdout": "holdout.txt"},
    "documents": "lines",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("worker")
    tiny.build(folder / "model", seed=0)
    (folder / "search.txt").write_text("the first line\nand the second\nthe third is last\n")
    (folder / "holdout.txt").write_text("of another kind\n")
    return folder


def model(folder: Path) -> Source:
    return Source(model=str(folder / "model"))


def worker(folder: Path, loader: LoaderConfig | None = None) -> ModelWorker:
    return ModelWorker(
        WorkerConfig(
            donor=model(folder),
            engine=EngineConfig(kind="transformers", dtype="float32"),
            evaluator=read_evaluator(TEXT, folder=folder, origin="evaluator"),
            loader=loader or MergeLoaderConfig(),
        )
    )


def report(outcome: object) -> Report:
    assert isinstance(outcome, Report), outcome
    return outcome


def test_all_examples_or_those_that_are_asked(folder: Path) -> None:
    live = worker(folder)
    whole = report(live.perform(Task("a", model(folder), "search")))
    part = report(live.perform(Task("b", model(folder), "search", {"prose": (0, 2)})))
    scores = whole.tasks["prose"].examples
    assert len(scores) == 3
    assert part.tasks["prose"].examples == pytest.approx((scores[0], scores[2]))
    assert whole.costs["layers"] == 2
    tensors = load_file(folder / "model" / "model.safetensors")
    assert whole.costs["parameters"] == sum(tensor.numel() for tensor in tensors.values())
    took = whole.seconds
    assert set(took) == {"merge_and_load", "merge", "evaluate", "generate"}
    assert 0 < took["merge"] < took["merge_and_load"]
    assert took["generate"] == 0, "it only scores texts"


def test_what_the_bank_of_its_process_takes(folder: Path) -> None:
    live = worker(folder)
    live.perform(Task("a", model(folder), "search"))
    known = {reading.tags["kind"]: reading.value for reading in live.readings()}
    assert known["mapped"] >= (folder / "model" / "model.safetensors").stat().st_size * 0.9
    assert known["device"] == 0
    assert {reading.metric for reading in live.readings()} == {"evomerge_bank"}


@pytest.mark.parametrize("key", ["model", "adapter", "statistics"])
def test_what_is_not_on_its_node_is_said_before_the_engine_starts(folder: Path, key: str) -> None:
    lacking = Source.model_validate({"model": str(folder / "model"), key: "/models/math"})
    config = WorkerConfig(
        donor=model(folder),
        engine=EngineConfig(kind="transformers"),
        evaluator=read_evaluator(TEXT, folder=folder, origin="evaluator"),
        sources=(model(folder), Source(model="owner/of-a-hub"), lacking),
    )
    with pytest.raises(SourceError, match=r"^there is no /models/math here; each node needs"):
        ModelWorker(config)


def test_a_deadline_that_has_passed_is_the_candidates_failure_and_the_worker_goes_on(
    folder: Path,
) -> None:
    live = worker(folder)
    late = live.perform(Task("a", model(folder), "search", deadline_s=1e-6))
    law = "its evaluation took longer than its deadline, 1e-06 s"
    assert late == Failure(cause="candidate", message=law)
    in_time = live.perform(Task("b", model(folder), "search", deadline_s=6000))
    assert report(in_time).tasks["prose"].examples


def test_a_worker_told_to_load_paths_runs_them(folder: Path) -> None:
    live = worker(folder, PathLoaderConfig(capacity=Capacity(layers=2, hops=5)))
    hops = tuple(Hop(of="m", layer=layer) for layer in (0, 1, 1))
    stack = Stack(inputs={"m": model(folder)}, embedding="m", head="m", hops=hops)
    longer = report(live.perform(Task("a", stack, "search"))).costs
    assert longer["layers"] == 3
    own = report(live.perform(Task("b", model(folder), "search")))
    merged = report(worker(folder).perform(Task("c", model(folder), "search")))
    assert longer["parameters"] == own.costs["parameters"], "the layer that runs twice counts once"
    alone = stack.model_copy(update={"hops": hops[:1]})
    shorter = report(live.perform(Task("d", alone, "search"))).costs["parameters"]
    tensors = load_file(folder / "model" / "model.safetensors")
    second = sum(one.numel() for name, one in tensors.items() if "layers.1." in name)
    assert shorter == own.costs["parameters"] - second
    assert own.tasks["prose"].value == pytest.approx(merged.tasks["prose"].value, abs=1e-4)


def test_a_path_beyond_the_capacity_is_the_candidates_failure(folder: Path) -> None:
    live = worker(folder, PathLoaderConfig(capacity=Capacity(layers=2, hops=2)))
    hops = tuple(Hop(of="m", layer=layer) for layer in (0, 1, 1))
    stack = Stack(inputs={"m": model(folder)}, embedding="m", head="m", hops=hops)
    outcome = live.perform(Task("a", stack, "search"))
    assert isinstance(outcome, Failure)
    assert outcome.cause == "candidate"
