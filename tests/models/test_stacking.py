"""Whose layers run among whose, from headers alone."""

from __future__ import annotations

from contextlib import nullcontext as does_not_raise
from typing import Any

import pytest
import torch

from evomerge.errors import SourceError
from evomerge.models.compatibility import check_compatibility
from evomerge.models.stacking import check_routable, is_plain, rotary
from evomerge.operators import signatures
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Merge, Recipe, Stack
from tests.families import Family, tiny_tensors, write_model


def stack(a: Recipe, b: Recipe, *hops: Hop) -> Stack:
    path = hops or (Hop(of="a", layer=0), Hop(of="b", layer=1))
    return Stack(inputs={"a": a, "b": b}, embedding="a", head="a", hops=path)


def other(family: Family, tensors: dict[str, Any] | None = None, **config: Any) -> Source:
    folder = family.folder / "other"
    return Source(model=str(write_model(folder, tensors or tiny_tensors(5), **config)))


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"hidden_size": 16}, "hidden_size"),
        ({"num_attention_heads": 2}, "num_attention_heads"),
        ({"num_key_value_heads": 1}, "num_key_value_heads"),
        ({"head_dim": 4}, "head_dim"),
        ({"rope_theta": 500_000.0}, "rotary settings"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rotary settings"),
        ({"rms_norm_eps": 1e-3}, "rms_norm_eps"),
        ({"model_type": "mistral"}, "model_type"),
    ],
)
def test_inputs_of_another_kind_are_refused(
    family: Family, config: dict[str, Any], key: str
) -> None:
    with pytest.raises(SourceError, match=f"^r.yaml: the stack's inputs differ in {key}: "):
        check_compatibility(
            stack(family.math, other(family, **config)), signatures(), origin="r.yaml"
        )


def test_layers_of_other_shapes_are_refused(family: Family) -> None:
    name = "model.layers.0.mlp.up_proj.weight"
    tensors = tiny_tensors(5) | {name: torch.zeros(24, 8)}
    with pytest.raises(SourceError, match=f"differ in the shape of {name}"):
        check_compatibility(stack(family.math, other(family, tensors)), signatures(), origin="r")
    del tensors[name]
    with pytest.raises(SourceError, match=f"differ in the shape of {name}"):
        check_compatibility(
            stack(family.math, Source(model=str(write_model(family.folder / "l", tensors)))),
            signatures(),
            origin="r",
        )


def test_inputs_may_differ_in_depth_and_in_a_vocabulary_that_no_token_passes(
    family: Family,
) -> None:
    tensors = {k: v for k, v in tiny_tensors(5).items() if ".layers.2." not in k}
    tensors["model.embed_tokens.weight"] = torch.zeros(20, 8)
    short = other(family, tensors, num_hidden_layers=2, vocab_size=20)
    assert check_compatibility(stack(family.math, short), signatures(), origin="r") == []
    with pytest.raises(SourceError, match="differ in num_hidden_layers"):
        check_compatibility(
            Merge(method="linear", inputs={"a": family.math, "b": short}), signatures(), origin="r"
        )
    headed = stack(family.math, short).model_copy(update={"head": "b"})
    with pytest.raises(SourceError, match="differ in vocabulary"):
        check_compatibility(headed, signatures(), origin="r")


def test_rotary_settings_are_compared_whatever_their_spelling() -> None:
    new = {"rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}}
    assert rotary(new) == rotary({"rope_theta": 5e5}) == rotary({"rope_theta": 500_000})
    assert rotary({}) == rotary({"rope_theta": 10_000})
    scaled = {"rope_theta": 1e4, "rope_scaling": {"type": "linear", "factor": 2.0}}
    assert rotary(scaled) == {"rope_theta": 1e4, "rope_type": "linear", "factor": 2.0}


@pytest.mark.parametrize(
    ("config", "law"),
    [
        ({"model_type": "gpt2"}, "family 'gpt2' cannot be routed"),
        ({"model_type": "gemma2"}, "gemma, llama, mistral, qwen2, qwen3"),
        ({"layer_types": ["full_attention", "sliding_attention", "full_attention"]}, "sliding"),
        ({"model_type": "mistral", "sliding_window": 4096}, "sliding window"),
        ({"model_type": "mistral"}, "sliding window"),
        ({"model_type": "qwen2", "sliding_window": 64, "use_sliding_window": True}, "sliding"),
    ],
)
def test_families_that_no_engine_can_route(
    family: Family, config: dict[str, Any], law: str
) -> None:
    one = other(family, **config)
    with pytest.raises(SourceError, match=law):
        check_routable(stack(one, one))


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "mistral", "sliding_window": None},
        {"model_type": "qwen2", "sliding_window": 64, "use_sliding_window": False},
        {"model_type": "qwen3", "layer_types": ["full_attention"] * 3},
    ],
)
def test_families_that_engines_route(family: Family, config: dict[str, Any]) -> None:
    one = other(family, **config)
    with does_not_raise():
        check_routable(stack(one, one))


def test_a_stack_is_plain_where_nothing_is_scaled(family: Family) -> None:
    assert is_plain(stack(family.math, family.math))
    assert not is_plain(stack(family.math, family.math, Hop(of="a", layer=0, scale=0.99)))
