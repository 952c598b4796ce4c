"""Recipes in a live engine: pools are loaded once, paths are changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from evomerge.cluster.model_loader import PathLoader, stacked
from evomerge.conformance import tiny_models as tiny
from evomerge.engines.base import DataFlowEngine, WeightSource
from evomerge.engines.config import EngineConfig
from evomerge.engines.transformers import TransformersEngine
from evomerge.engines.transformers_dataflow import TransformersDataFlow
from evomerge.errors import CandidateError, SourceError
from evomerge.merging.weights import MergedWeights
from evomerge.models.headers import Headers
from evomerge.recipe.layer_path import Capacity
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Merge, Recipe, Rule, Stack

PAIRS = [([10, 20, 30], [40, 50]), ([7, 8], [9, 10, 11])]


class Counting(TransformersDataFlow):
    """The engine, and how often weights were loaded into it."""

    loads = 0

    def load(self, weights: WeightSource) -> None:
        self.loads += 1
        super().load(weights)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recipe]:
    folder = tmp_path_factory.mktemp("family")
    return {
        name: Source(model=str(tiny.build(folder / name, seed=seed)))
        for seed, name in enumerate(("a", "b"))
    }


@pytest.fixture
def engine(sources: dict[str, Recipe]) -> Iterator[Counting]:
    live = Counting(EngineConfig(dtype="float32"), folder(sources["a"]), Capacity(layers=4, hops=6))
    yield live
    live.close()


def folder(source: Recipe) -> Path:
    assert isinstance(source, Source)
    return Path(source.model)


def stack(inputs: dict[str, Recipe], *path: tuple[str, int]) -> Stack:
    hops = tuple(Hop(of=of, layer=layer) for of, layer in path)
    return Stack(inputs=inputs, embedding="a", head="a", hops=hops)


def totals(engine: DataFlowEngine | TransformersEngine) -> list[float]:
    return [logprob.total for logprob in engine.logprobs(PAIRS)]


def alone(recipe: Recipe, like: Recipe) -> list[float]:
    """What an ordinary engine says of a recipe that is not deeper than its model."""
    plain = TransformersEngine(EngineConfig(dtype="float32"), folder(like))
    plain.load(MergedWeights(recipe))
    scores = totals(plain)
    plain.close()
    return scores


def test_paths_over_one_pool_load_it_once(engine: Counting, sources: dict[str, Recipe]) -> None:
    loader = PathLoader(engine)
    assert loader.load(stack(sources, ("a", 0), ("b", 1), ("b", 1))).layers == 3
    assert loader.load(stack(sources, ("b", 1), ("a", 0))).layers == 2
    assert engine.loads == 1
    expected = alone(stack(sources, ("b", 1), ("a", 0)), sources["a"])
    assert totals(engine) == pytest.approx(expected, abs=1e-4)


def test_a_model_without_a_path_runs_its_own_layers(
    engine: Counting, sources: dict[str, Recipe]
) -> None:
    loader = PathLoader(engine)
    mean = Merge(method="linear", inputs=sources, rules=(Rule(),))
    mean = mean.model_copy(
        update={"rules": (Rule(inputs={"a": {"weight": 0.5}, "b": {"weight": 0.5}}),)}
    )
    for recipe in (sources["b"], mean):
        assert loader.load(recipe).layers == 2
        assert totals(engine) == pytest.approx(alone(recipe, sources["a"]), abs=1e-4)
    loader.load(stack(sources, ("a", 0), ("a", 1)))
    assert totals(engine) == pytest.approx(alone(sources["a"], sources["a"]), abs=1e-4)
    assert engine.loads == 3


def test_of_a_pool_that_is_too_large_only_what_runs_is_loaded(
    engine: Counting, sources: dict[str, Recipe], tmp_path: Path
) -> None:
    three = sources | {"c": Source(model=str(tiny.build(tmp_path / "c", seed=2)))}
    path = (("c", 1), ("a", 0), ("c", 1))
    assert PathLoader(engine).load(stack(three, *path)).layers == 3
    with pytest.raises(CandidateError, match="runs 5 different layers, and the engine has room"):
        PathLoader(engine).load(stack(three, *path, ("b", 0), ("b", 1), ("a", 1)))


def test_after_a_fault_the_pool_is_loaded_again(
    engine: Counting, sources: dict[str, Recipe], tmp_path: Path
) -> None:
    loader = PathLoader(engine)
    path = (("a", 0), ("b", 0))
    loader.load(stack(sources, *path))
    before = totals(engine)
    bad = tiny.build(tmp_path / "bad", seed=3)
    tensors = load_file(bad / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"][0, 0] = torch.inf

    save_file(tensors, bad / "model.safetensors")
    broken = sources | {"b": Source(model=str(bad))}
    with pytest.raises(SourceError, match="not finite"):
        loader.load(stack(broken, *path))
    loader.load(stack(sources, *path))
    assert totals(engine) == before


def test_a_recipe_as_a_stack_is_its_layers_in_order(sources: dict[str, Recipe]) -> None:
    layers = stacked(sources["b"], Headers())
    assert [(hop.of, hop.layer, hop.scale) for hop in layers.hops] == [
        ("model", 0, 1.0),
        ("model", 1, 1.0),
    ]
    own = stack(sources, ("a", 0))
    assert stacked(own, Headers()) is own
