from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import evomerge
from evomerge.conformance import data_flow
from evomerge.conformance.data_flow import CAPACITY, OWN, agrees
from evomerge.conformance.engines import LAWS, PROMPTS, EngineSubject
from evomerge.conformance.layer_paths import ByHand, LayerPool, build_family, route_of, spoken
from evomerge.conformance.tiny_models import Edited, Reference, encode
from evomerge.engines.base import DataFlowEngine, Engine
from evomerge.engines.config import EngineConfig
from evomerge.engines.vllm_dataflow import VllmDataFlow
from evomerge.errors import SourceError
from evomerge.evaluators.live_model import Sampling
from evomerge.recipe.layer_path import Capacity
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Stack
from tests.engines.conftest import Siblings

Start = Callable[..., Any]


def starts_vllm(test: Any) -> Any:
    """vLLM and what it imports warn at import and at start."""
    for mark in (pytest.mark.vllm, pytest.mark.slow, pytest.mark.filterwarnings("default")):
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def one_model(siblings: Siblings, start_vllm: Start) -> Any:
    """A pool of one model's layers, and the path through them in order."""
    engine = start_vllm(siblings.one, Capacity(layers=2, hops=3))
    engine.layer_path(OWN)
    return engine


@pytest.fixture(scope="module")
def two_models(siblings: Siblings, start_vllm: Start) -> Any:
    return start_vllm(siblings.one, CAPACITY)


@starts_vllm
@pytest.mark.parametrize("law", LAWS)
def test_contract_of_any_engine(
    law: str,
    one_model: DataFlowEngine,
    siblings: Siblings,
    references: tuple[Reference, Reference],
) -> None:
    LAWS[law](EngineSubject(one_model, (siblings.one, siblings.other), references))


@starts_vllm
@pytest.mark.parametrize("law", data_flow.LAWS)
def test_contract(
    law: str, two_models: DataFlowEngine, siblings: Siblings, by_hand: ByHand
) -> None:
    subject = data_flow.PathSubject(two_models, (siblings.one, siblings.other), by_hand)
    data_flow.LAWS[law](subject)


@starts_vllm
def test_the_identity_path_is_the_stock_model(
    two_models: DataFlowEngine, vllm_engine: Engine, siblings: Siblings
) -> None:
    two_models.load(LayerPool([*siblings]))
    two_models.layer_path(OWN)
    vllm_engine.load(Edited(siblings.one))
    prompts = encode(two_models.tokenizer, *PROMPTS)
    samplings = [Sampling(max_new_tokens=24)] * len(prompts)
    assert two_models.generate(prompts, samplings) == vllm_engine.generate(prompts, samplings)
    pairs = [(prompt, [5, 6, 7]) for prompt in prompts]
    for one, other in zip(two_models.logprobs(pairs), vllm_engine.logprobs(pairs), strict=True):
        assert one.total == pytest.approx(other.total, abs=1e-4)


@starts_vllm
def test_the_identity_path_is_the_stock_model_in_bfloat16(
    siblings: Siblings, start_vllm: Start
) -> None:
    pairs = [([1, 2, 3, 4], [5, 6, 7]), ([9] * 30, [8, 2])]
    stock = start_vllm(siblings.one, dtype="bfloat16")
    engine = start_vllm(siblings.one, Capacity(layers=2, hops=2), dtype="bfloat16")
    engine.load(Edited(siblings.one))
    engine.layer_path(OWN)
    for one, other in zip(stock.logprobs(pairs), engine.logprobs(pairs), strict=True):
        assert one.total == pytest.approx(other.total, rel=0.01)


@starts_vllm
@pytest.mark.parametrize(
    ("family", "keys"),
    [
        ("gemma", {"hidden_activation": "gelu_pytorch_tanh"}),
        ("mistral", {}),
        ("qwen2", {}),
        ("qwen3", {}),
    ],
)
def test_families(
    family: str, keys: dict[str, Any], siblings: Siblings, start_vllm: Start, tmp_path: Path
) -> None:
    folders = [
        build_family(tmp_path / str(seed), family, like=siblings.one, seed=seed, **keys)
        for seed in (3, 4)
    ]
    by_hand = ByHand(folders)
    engine = start_vllm(folders[0], Capacity(layers=6, hops=5))
    engine.load(LayerPool(folders))
    agrees(engine, by_hand, route_of((0, 1, 2)))
    agrees(engine, by_hand, route_of((0, 3, 3, 2, 5), (1, 0.8, 1, 1.2, 0.9)))
    agrees(engine, by_hand, route_of((3, 5, 1), (0.9, 0.8, 1.3), "mlp_output"))


@starts_vllm
def test_an_exported_stack_is_a_model_like_any_other(
    siblings: Siblings, start_vllm: Start, tmp_path: Path
) -> None:
    layer_path = route_of((1, 0, 0, 1), (1, 0.8, 1, 1.1))
    hops = [
        Hop(of="a", layer=n, scale=s)
        for n, s in zip(layer_path.layers, layer_path.scales, strict=True)
    ]
    inputs = {"a": Source(model=str(siblings.one))}
    evomerge.merge(Stack(inputs=inputs, embedding="a", head="a", hops=(*hops,)), tmp_path / "m")
    by_hand = ByHand([siblings.one])
    engine = start_vllm(tmp_path / "m")
    context, rest = encode(engine.tokenizer, *PROMPTS[:2])
    (score,) = engine.logprobs([(context, rest)])
    assert score.total == pytest.approx(by_hand.logprob(layer_path, context, rest), abs=5e-4)
    (found,) = engine.generate([context], [Sampling(max_new_tokens=9)])
    assert found.text == spoken(by_hand.continuation(layer_path, context, 9), engine.tokenizer)


@pytest.mark.parametrize(
    ("keys", "law"),
    [
        ({"model_type": "phi3", "pad_token_id": None}, "phi3"),
        ({"model_type": "mistral", "sliding_window": 64}, "sliding windows"),
        ({"model_type": "gemma2"}, "gemma2"),
    ],
)
def test_what_cannot_be_stacked_is_refused_before_anything_starts(
    keys: dict[str, Any], law: str, siblings: Siblings, tmp_path: Path
) -> None:
    folder = shutil.copytree(siblings.one, tmp_path / "model")
    about = json.loads((folder / "config.json").read_text()) | keys
    (folder / "config.json").write_text(json.dumps(about))
    with pytest.raises(SourceError, match=law):
        VllmDataFlow(EngineConfig(kind="vllm"), folder, Capacity(layers=4, hops=4))
