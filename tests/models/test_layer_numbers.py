"""Which layers compute with their own number, told by the code of their classes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

from evomerge.models.layer_numbers import computes_with_number
from tests.architectures import ARCHITECTURES, LLAMA, built

GPT = {"vocab_size": 60, "n_embd": 16, "n_layer": 2, "n_head": 2}
MOE = {**LLAMA, "head_dim": 8, "num_local_experts": 2, "layer_types": ["linear_attention"] * 4}


@pytest.mark.parametrize(
    ("model", "settings", "said"),
    [
        ("MiniMax", MOE, "MiniMaxLightningAttention"),
        ("ImageGPT", GPT | {"scale_attn_by_inverse_layer_idx": True}, "ImageGPTAttention"),
        ("ImageGPT", GPT, None),
    ],
)
def test_arithmetic_with_a_layers_number(
    model: str, settings: dict[str, Any], said: str | None
) -> None:
    config = getattr(transformers, f"{model}Config")(**settings)
    with torch.device("meta"):
        whole = getattr(transformers, f"{model}Model")(config)
    layers = whole.h if model == "ImageGPT" else whole.layers
    assert computes_with_number(layers[1]) == said


def test_no_architecture_of_the_table_does() -> None:
    """Their caches are kept by the number, which is no arithmetic."""
    for architecture in ARCHITECTURES:
        assert computes_with_number(built(architecture.name)) is None, architecture.name
