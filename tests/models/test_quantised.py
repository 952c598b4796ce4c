"""Quantised models are told by their configuration or their tensors, and plain ones never are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from evomerge.errors import SourceError
from evomerge.models.inventory import read_inventory
from evomerge.models.quantised import quantisation
from tests.families import tiny_tensors, write_model

Q = "model.layers.1.self_attn.q_proj"


def codes(*shape: int, dtype: torch.dtype = torch.uint8) -> Tensor:
    return torch.zeros(shape, dtype=dtype)


PACKED: dict[str, dict[str, Tensor]] = {
    "GPTQ": {
        f"{Q}.qweight": codes(1, 8, dtype=torch.int32),
        f"{Q}.qzeros": codes(1, 1, dtype=torch.int32),
        f"{Q}.scales": torch.ones(1, 8),
        f"{Q}.g_idx": codes(8, dtype=torch.int32),
    },
    "bitsandbytes, 4 bits": {
        f"{Q}.weight": codes(32, 1),
        f"{Q}.weight.absmax": torch.ones(1),
        f"{Q}.weight.quant_map": torch.ones(16),
        f"{Q}.weight.quant_state.bitsandbytes__nf4": codes(90),
    },
    "bitsandbytes, 8 bits": {
        f"{Q}.weight": codes(8, 8, dtype=torch.int8),
        f"{Q}.SCB": torch.ones(8),
        f"{Q}.weight_format": codes(),
    },
    "FP8 by block, as DeepSeek-V3": {
        f"{Q}.weight": torch.zeros(8, 8).to(torch.float8_e4m3fn),
        f"{Q}.weight_scale_inv": torch.ones(1, 1),
    },
    "FP8 by tensor": {
        f"{Q}.weight": torch.zeros(8, 8).to(torch.float8_e4m3fn),
        f"{Q}.weight_scale": torch.ones(1),
        f"{Q}.input_scale": torch.ones(1),
    },
    "FP8, its scales lost": {f"{Q}.weight": torch.zeros(8, 8).to(torch.float8_e5m2)},
    "mxfp4, as gpt-oss": {
        "model.layers.1.mlp.experts.down_proj_blocks": codes(2, 8, 1, 16),
        "model.layers.1.mlp.experts.down_proj_scales": codes(2, 8, 1),
    },
    "compressed-tensors": {
        f"{Q}.weight_packed": codes(8, 1, dtype=torch.int32),
        f"{Q}.weight_shape": codes(2, dtype=torch.int64),
    },
    "HQQ": {f"{Q}.W_q": codes(4, 8)},
    "AQLM": {f"{Q}.codes": codes(8, 1, 1, dtype=torch.int16), f"{Q}.codebooks": torch.ones(1, 2)},
    "whole numbers under a weight's name": {f"{Q}.weight": codes(8, 4)},
}


@pytest.mark.parametrize("method", PACKED)
def test_packed_tensors_are_named(tmp_path: Path, method: str) -> None:
    plain = {name: tensor for name, tensor in tiny_tensors(0).items() if not name.startswith(Q)}
    folder = write_model(tmp_path / "packed", plain | PACKED[method])
    with pytest.raises(SourceError) as refused:
        read_inventory(folder)
    said = str(refused.value)
    assert said.startswith(f"{folder / 'model.safetensors'}: the tensor '")
    assert any(f"the tensor {name!r}" in said for name in PACKED[method])
    assert "the model is quantised" in said
    assert "name the model that it was made from" in said


@pytest.mark.parametrize(
    ("config", "key", "method"),
    [
        ({"quantization_config": {"quant_method": "awq"}}, "quantization_config", "awq"),
        ({"quantization_config": {"quant_algo": "FP8"}}, "quantization_config", "FP8"),
        ({"compression_config": {"format": "dense"}}, "compression_config", "no method named"),
        (
            {"text_config": {"num_hidden_layers": 3, "quantization_config": {"quant_method": "x"}}},
            "text_config.quantization_config",
            "x",
        ),
    ],
)
def test_a_configuration_that_says_so_is_believed(
    tmp_path: Path, config: dict[str, Any], key: str, method: str
) -> None:
    folder = write_model(tmp_path / "model", tiny_tensors(0), **config)
    with pytest.raises(SourceError) as refused:
        read_inventory(folder)
    assert f"config.json: {key}: the model is quantised ({method})" in str(refused.value)
    assert "`dequantize: true`" in str(refused.value)
    assert "or take the key out if its tensors are plain" in str(refused.value)


@pytest.mark.parametrize("settings", [None, {}])
def test_a_key_that_says_nothing(tmp_path: Path, settings: object) -> None:
    folder = write_model(tmp_path / "model", tiny_tensors(0), quantization_config=settings)
    assert read_inventory(folder).tensors
    assert quantisation({"quantization_config": settings}) is None


@pytest.mark.parametrize(
    "name",
    [
        *("model.layers.0.attn.bias", "model.embeddings.position_ids"),
        *("model.layers.0.layer_scale.weight", "model.layers.0.scales", "model.a_blocks"),
    ],
)
def test_buffers_and_scales_of_plain_models(tmp_path: Path, name: str) -> None:
    tensor = torch.ones(2, 2) if "scale" in name else codes(2, 2)
    folder = write_model(tmp_path / "model", tiny_tensors(0) | {name: tensor})
    assert name in read_inventory(folder).tensors
