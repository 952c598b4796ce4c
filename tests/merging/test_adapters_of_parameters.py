"""`target_parameters`: experts that are one parameter in memory, and one tensor or many in a
checkpoint, as peft merges them.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file

from evomerge.errors import SourceError
from evomerge.merging.weights import MergedWeights
from evomerge.models.compatibility import check_compatibility
from evomerge.operators import signatures
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Rule

pytestmark = [pytest.mark.process, pytest.mark.slow]

SIZES: dict[str, Any] = {
    "vocab_size": 32,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
}
MODELS = {
    "mixtral": transformers.MixtralConfig(
        **SIZES, intermediate_size=16, num_local_experts=3, num_experts_per_tok=2
    ),
    "qwen3_moe": transformers.Qwen3MoeConfig(
        **SIZES, intermediate_size=16, moe_intermediate_size=8, num_experts=4, num_experts_per_tok=2
    ),
    "gpt_oss": transformers.GptOssConfig(
        **SIZES, intermediate_size=16, num_local_experts=3, num_experts_per_tok=2
    ),
}
"""Experts each by itself in the first two checkpoints; together, and transposed, in the third."""
SETTINGS: dict[str, dict[str, Any]] = {
    "both": {
        "target_parameters": ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"],
        "target_modules": ["q_proj"],
    },
    "first layer, with ranks": {
        "target_parameters": ["0.mlp.experts.gate_up_proj", "0.mlp.experts.down_proj"],
        "rank_pattern": {"gate_up_proj": 3},
        "alpha_pattern": {"down_proj": 1},
        "use_rslora": True,
        "target_modules": ["v_proj"],
        "modules_to_save": ["1.mlp.experts"],
    },
}


@pytest.fixture(autouse=True)
def _warnings_of_peft() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module", params=MODELS)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("models") / request.param
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(MODELS[request.param]).save_pretrained(folder)
    return folder


def loaded(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def trained(base: Path, out: Path, **settings: Any) -> Path:
    torch.manual_seed(1)
    tuned = get_peft_model(loaded(base), LoraConfig(r=2, lora_alpha=6, **settings))
    with torch.no_grad():
        for parameter in tuned.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    tuned.save_pretrained(out)
    return out


def as_peft(base: Path, adapter: Path, out: Path) -> dict[str, torch.Tensor]:
    PeftModel.from_pretrained(loaded(base), adapter).merge_and_unload().save_pretrained(out)
    tensors: dict[str, torch.Tensor] = load_file(out / "model.safetensors")
    return tensors


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_weights_are_those_of_peft(base: Path, tmp_path: Path, settings: str) -> None:
    adapter = trained(base, tmp_path / "adapter", **SETTINGS[settings])
    truth = as_peft(base, adapter, tmp_path / "truth")
    before = load_file(base / "model.safetensors")
    source = Source(model=str(base), adapter=str(adapter))
    check_compatibility(source, signatures(), origin="r.yaml")
    merged = dict(MergedWeights(source, "float32").tensors())
    assert merged.keys() == truth.keys() == before.keys()
    assert any("experts" in name and not torch.equal(truth[name], before[name]) for name in truth)
    assert [name for name in merged if not merged[name].allclose(truth[name], atol=1e-6)] == []


def test_they_are_merged_by_the_methods(base: Path, tmp_path: Path) -> None:
    """Half of the change: of experts each by itself as factors, of fused ones as weights."""
    adapter = trained(base, tmp_path / "adapter", **SETTINGS["both"])
    one = Source(model=str(base), adapter=str(adapter))
    recipe = Merge(
        method="task_arithmetic",
        base="base",
        inputs={"base": Source(model=str(base)), "one": one},
        rules=(Rule(inputs={"one": {"weight": 0.5}}),),
    )
    whole = dict(MergedWeights(one, "float32").tensors())
    before = load_file(base / "model.safetensors")
    for name, tensor in MergedWeights(recipe, "float32").tensors():
        half = (whole[name].float() + before[name].float()) / 2
        assert tensor.allclose(half, atol=1e-6), name


def test_factors_for_what_the_model_has_not(base: Path, tmp_path: Path) -> None:
    adapter = trained(base, tmp_path / "adapter", **SETTINGS["both"])
    path = adapter / "adapter_config.json"
    config = json.loads(path.read_text())

    def said(**settings: Any) -> str:
        path.write_text(json.dumps(config | settings))
        source = Source(model=str(base), adapter=str(adapter))
        with pytest.raises(SourceError) as refused:
            check_compatibility(source, signatures(), origin="r.yaml")
        assert "\n" not in str(refused.value)
        return str(refused.value)

    assert "target_parameters: names no parameter of" in said(target_parameters=["down_proj"])
    assert "have 2" in said(rank_pattern={"experts.down_proj": 3})
    assert "target_parameters is 3" in said(target_parameters=3)
    assert "do not go together" in said(use_dora=True)
