"""The model that exported stacks are loaded by, against the families' own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from evomerge.conformance.layer_paths import tiny_config
from evomerge.engines.stack_model import (
    FAMILIES,
    EvomergeStackForCausalLM,
    StackConfig,
    obstacle,
)
from evomerge.engines.stack_model import (
    Path as Layers,
)

TOKENS = torch.tensor([[5, 6, 7, 8, 9, 10], [11, 12, 13, 14, 15, 16]])
ROUTE: dict[str, Any] = {"layers": [0, 2, 2, 1, 0, 2], "scales": [0.9, 1.0, 1.3, 1.0, 0.7, 1.1]}
Pair = tuple[Any, EvomergeStackForCausalLM]


def pair(family: str, **keys: Any) -> Pair:
    """A model of the family, and a stack of its layers in their own order."""
    torch.manual_seed(4)
    config = tiny_config(family, **keys)
    model = AutoModelForCausalLM.from_config(config).eval()
    own = {key: value for key, value in config.to_dict().items() if key != "model_type"}
    stack = EvomergeStackForCausalLM(StackConfig(family, **own)).eval()
    stack.load_state_dict(model.state_dict())
    return model, stack


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@torch.no_grad()
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_own_path_is_the_model_bit_for_bit(family: str, tied: bool, dtype: torch.dtype) -> None:
    model, stack = pair(family, tie_word_embeddings=tied)
    model.to(dtype), stack.to(dtype)
    assert torch.equal(stack(TOKENS).logits, model(TOKENS).logits)
    assert (stack.lm_head.weight is stack.model.embed_tokens.weight) == tied
    assert list(stack.state_dict()) == list(model.state_dict())


@pytest.mark.parametrize("cache", [None, "static"])
@pytest.mark.parametrize("scaling", ["stream", "mlp_output"])
def test_a_repeated_layer_has_a_cache_of_its_own_for_each_run(
    family: str, scaling: str, cache: str | None
) -> None:
    _, stack = pair(family)
    stack.follow({**ROUTE, "scaling": scaling})
    limits: Any = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": None}
    cached = stack.generate(TOKENS, use_cache=True, cache_implementation=cache, **limits)
    assert torch.equal(cached, stack.generate(TOKENS, use_cache=False, **limits))
    assert cached.shape == (2, 18)


@torch.no_grad()
def test_left_padding_and_beams(family: str) -> None:
    _, stack = pair(family)
    stack.follow(ROUTE)
    padded = torch.tensor([[0, 0, *TOKENS[0].tolist()], [9, 9, *TOKENS[1].tolist()]])
    mask = torch.ones_like(padded)
    mask[0, :2] = 0
    limits: Any = {"max_new_tokens": 5, "do_sample": False, "eos_token_id": None}
    alone = stack.generate(TOKENS[:1], num_beams=3, **limits)
    among = stack.generate(padded, attention_mask=mask, num_beams=3, **limits)
    assert torch.equal(among[0, 2:], alone[0])


def test_it_can_be_trained(family: str) -> None:
    _, stack = pair(family)
    stack.follow(ROUTE)
    stack.train()
    stack.gradient_checkpointing_enable()
    stack(TOKENS, labels=TOKENS).loss.backward()
    twice = stack.model.layers[2].mlp.down_proj.weight.grad
    assert twice is not None
    assert torch.isfinite(twice).all()
    assert twice.abs().max() > 0


def test_saved_and_loaded_again(family: str, tmp_path: Path) -> None:
    _, stack = pair(family)
    stack.follow({**ROUTE, "scaling": "mlp_output"})
    stack.save_pretrained(tmp_path)
    again = EvomergeStackForCausalLM.from_pretrained(tmp_path)
    assert again.config.route == {**ROUTE, "scaling": "mlp_output"}
    assert again.config.num_hidden_layers == 3
    assert torch.equal(logits(again), logits(stack))


@torch.no_grad()
def logits(model: Any) -> Tensor:
    found: Tensor = model(TOKENS).logits
    return found


def test_what_a_configuration_leaves_out_is_the_familys_default() -> None:
    """Gemma's embeddings are tied where nothing is said, Llama's are not."""
    assert StackConfig("gemma").tie_word_embeddings
    assert not StackConfig("llama").tie_word_embeddings
    assert StackConfig("llama", rope_theta=5.0).rope_parameters["rope_theta"] == 5.0


def test_layers_that_cannot_be_stacked_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="family 'gpt2' cannot be routed, only of gemma, llama"):
        StackConfig("gpt2")
    with pytest.raises(ValueError, match="sliding windows"):
        StackConfig("mistral", sliding_window=8)
    with pytest.raises(ValueError, match="several kinds"):
        StackConfig("qwen3", use_sliding_window=True, sliding_window=8, max_window_layers=2)
    assert obstacle("qwen2", tiny_config("qwen2")) is None


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ({"layers": [], "scales": []}, "a route has layers"),
        ({"layers": [0, 1], "scales": [1.0]}, "as many scales"),
        ({"layers": [0], "scales": [1.0], "scaling": "input"}, "one of .*stream.*mlp_output"),
        ({"layers": [0, 3], "scales": [1.0, 1.0]}, "takes layer 3, and there are 3"),
        ({"layers": [-1], "scales": [1.0]}, "takes layer -1"),
        ({"layers": [0], "scales": [float("inf")]}, "scales by inf, which is not finite"),
    ],
)
def test_a_route_that_is_none_leaves_the_old_one(route: dict[str, Any], said: str) -> None:
    _, stack = pair("qwen2")
    stack.follow(ROUTE)
    before = logits(stack)
    with pytest.raises(ValueError, match=said):
        stack.follow(route)
    assert stack.config.route == ROUTE
    assert torch.equal(logits(stack), before)


def test_layers_by_number_and_hops_by_slice() -> None:
    _, stack = pair("llama")
    stack.follow(ROUTE)
    layers = stack.model.layers
    assert isinstance(layers, Layers)
    assert len(layers) == len(list(layers)) == 3
    assert [hop.layer is layers[n] for hop, n in zip(layers[:6], ROUTE["layers"], strict=True)]
    assert [hop.number for hop in layers[1:3]] == [1, 2]
