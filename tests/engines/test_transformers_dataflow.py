from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from evomerge.engines.base import DataFlowEngine
from evomerge.engines.config import EngineConfig
from evomerge.engines.factory import start_engine
from evomerge.engines.stack_model import FAMILIES
from evomerge.engines.transformers_dataflow import TransformersDataFlow
from evomerge.errors import SourceError
from evomerge.evaluators.live_model import Sampling
from evomerge.recipe.layer_path import Capacity
from tests.engines.conftest import Siblings
from tests.engines.dataflow_conformance import OWN, ROOM, DataFlowConformance
from tests.engines.stacks import ByHand, Pool, build_family, random_routes

CPU = EngineConfig(kind="transformers", device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def engine(siblings: Siblings) -> Iterator[DataFlowEngine]:
    engine = start_engine(CPU, siblings.one, ROOM)
    yield engine
    engine.close()


class TestConformance(DataFlowConformance):
    pass


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
class TestConformanceOnCuda(DataFlowConformance):
    @pytest.fixture(scope="class")
    def engine(self, siblings: Siblings) -> Iterator[DataFlowEngine]:
        config = EngineConfig(kind="transformers", device="cuda", dtype="float32")
        engine = TransformersDataFlow(config, siblings.one, ROOM)
        yield engine
        engine.close()


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(family: str, tied: bool, tmp_path: Path, siblings: Siblings) -> None:
    folders = [
        build_family(
            tmp_path / str(seed), family, like=siblings.one, seed=seed, tie_word_embeddings=tied
        )
        for seed in (1, 2)
    ]
    engine = TransformersDataFlow(CPU, folders[0], Capacity(layers=6, hops=9))
    engine.load(Pool(folders))
    by_hand = ByHand(folders)
    for layer_path in random_routes(6, layers=6, most=9):
        engine.layer_path(layer_path)
        (score,) = engine.logprobs([([3, 4, 5], [6, 7])])
        assert score.total == pytest.approx(
            by_hand.logprob(layer_path, [3, 4, 5], [6, 7]), abs=5e-4
        )


@pytest.mark.parametrize(
    ("family", "keys", "said"),
    [
        ("granite", {}, "family 'granite' cannot be routed, only of gemma, llama"),
        ("mistral", {"sliding_window": 8}, "sliding windows"),
        (
            "qwen2",
            {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
            "sliding windows, or of several kinds",
        ),
    ],
)
def test_other_families_are_refused(
    family: str, keys: dict[str, Any], said: str, tmp_path: Path, siblings: Siblings
) -> None:
    folder = build_family(tmp_path, family, like=siblings.one, seed=1, **keys)
    with pytest.raises(SourceError, match=said):
        TransformersDataFlow(CPU, folder, Capacity(layers=2, hops=2))


def test_slots_that_no_hop_uses_take_no_memory(siblings: Siblings) -> None:
    """What the cache holds follows the path, and not the room."""
    engine = TransformersDataFlow(CPU, siblings.one, Capacity(layers=4, hops=10_000))
    engine.load(Pool(list(siblings)))
    engine.layer_path(OWN)
    engine.generate([[3, 4, 5]] * 2, [Sampling(max_new_tokens=2)] * 2)
    assert len(engine._cache) == len(engine._prefix) == 2


def test_computes_in_the_checkpoints_precision(siblings: Siblings) -> None:
    config = EngineConfig(kind="transformers", device="cpu", dtype="float16")
    engine = TransformersDataFlow(config, siblings.one, ROOM)
    assert {tensor.dtype for tensor in engine._live.values()} == {torch.float16}
