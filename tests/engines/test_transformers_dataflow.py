from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from evomerge.conformance.data_flow import CAPACITY, LAWS, OWN, PathSubject
from evomerge.conformance.layer_paths import ByHand, LayerPool, build_family, random_routes
from evomerge.conformance.tiny_models import Edited
from evomerge.engines.base import DataFlowEngine
from evomerge.engines.config import EngineConfig
from evomerge.engines.factory import start_engine
from evomerge.engines.stack_model import FAMILIES
from evomerge.engines.transformers_dataflow import TransformersDataFlow
from evomerge.errors import CandidateError, SourceError
from evomerge.evaluators.live_model import Sampling
from evomerge.recipe.layer_path import Capacity, LayerPath
from tests.engines.conftest import Siblings

pytestmark = pytest.mark.slow

CPU = EngineConfig(kind="transformers", device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def engine(siblings: Siblings) -> Iterator[DataFlowEngine]:
    engine = start_engine(CPU, siblings.one, CAPACITY)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def on_cuda(siblings: Siblings) -> Iterator[DataFlowEngine]:
    config = EngineConfig(kind="transformers", device="cuda", dtype="float32")
    engine = TransformersDataFlow(config, siblings.one, CAPACITY)
    yield engine
    engine.close()


@pytest.mark.parametrize("law", LAWS)
def test_contract(law: str, engine: DataFlowEngine, siblings: Siblings, by_hand: ByHand) -> None:
    LAWS[law](PathSubject(engine, (siblings.one, siblings.other), by_hand))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("law", LAWS)
def test_contract_on_cuda(
    law: str, on_cuda: DataFlowEngine, siblings: Siblings, by_hand: ByHand
) -> None:
    LAWS[law](PathSubject(on_cuda, (siblings.one, siblings.other), by_hand))


@pytest.mark.parametrize(
    ("layers", "scales", "law"),
    [
        ((), (), "the route has 0 hops: the engine takes 1 to 12"),
        ((0,) * 13, (1.0,) * 13, "the route has 13 hops: the engine takes 1 to 12"),
        ((0, 4), (1.0, 1.0), "hop 1 of the path runs layer 4: the pool has 0 to 3"),
        ((0, -1), (1.0, 1.0), "hop 1 of the path runs layer -1: the pool has 0 to 3"),
        ((0, 1), (1.0,), "the route has 2 hops and 1 scales"),
    ],
)
def test_a_path_that_is_none(
    engine: DataFlowEngine, layers: tuple[int, ...], scales: tuple[float, ...], law: str
) -> None:
    with pytest.raises(CandidateError, match=f"^{law}$"):
        engine.layer_path(LayerPath(layers=layers, scales=scales))


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
    engine.load(LayerPool(folders))
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


def tensors() -> list[torch.Tensor]:
    """All tensors of this process."""
    gc.collect()
    return [kept for kept in gc.get_objects() if type(kept) in (torch.Tensor, torch.nn.Parameter)]


def test_hops_that_no_path_has_take_no_memory(siblings: Siblings) -> None:
    """What an engine holds after an answer follows the path, and not the room."""

    def held(hops: int) -> int:
        """Bytes of all tensors that an engine has made, after an answer over two hops."""
        before = {id(tensor) for tensor in tensors()}
        engine = TransformersDataFlow(CPU, siblings.one, Capacity(layers=4, hops=hops))
        engine.load(LayerPool(list(siblings)))
        engine.layer_path(OWN)
        engine.generate([[3, 4, 5]] * 2, [Sampling(max_new_tokens=2)] * 2)
        made = [tensor for tensor in tensors() if id(tensor) not in before]
        engine.close()
        return sum(tensor.untyped_storage().nbytes() for tensor in made)

    assert held(hops=1000) == held(hops=2) > 0


def test_computes_in_the_checkpoints_precision(siblings: Siblings) -> None:
    config = EngineConfig(kind="transformers", device="cpu", dtype="float16")
    engine = TransformersDataFlow(config, siblings.one, Capacity(layers=2, hops=2))
    name = "model.norm.weight"
    with pytest.raises(CandidateError, match=f"{name} is not finite as torch.float16"):
        engine.load(Edited(siblings.one, {name: torch.full((64,), 1e5)}))
