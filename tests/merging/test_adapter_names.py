"""Adapters whose modules are named otherwise in memory than in the checkpoint, against peft."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file

from evomerge.merging.adapter_checkpoint import write_adapter
from evomerge.merging.weights import MergedWeights
from evomerge.models.adapter_headers import read_adapter_inventory
from evomerge.models.adapter_names import on_model
from evomerge.models.inventory import read_inventory
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Rule

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _warnings_of_peft() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2-VL: `model.language_model.layers` in memory, `model.layers` in its file."""
    text = {
        "vocab_size": 32,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [1, 1, 2],
        },
    }
    vision = {"depth": 1, "embed_dim": 16, "hidden_size": 16, "num_heads": 2, "patch_size": 8}
    config = transformers.Qwen2VLConfig(text_config=text, vision_config=vision)
    folder = tmp_path_factory.mktemp("models") / "base"
    torch.manual_seed(0)
    transformers.Qwen2VLForConditionalGeneration(config).save_pretrained(folder)
    return folder


def loaded(folder: Path) -> transformers.PreTrainedModel:
    return transformers.Qwen2VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)


def trained(base: Path, out: Path) -> Source:
    torch.manual_seed(1)
    targets = r".*language_model.*(q_proj|down_proj)|.*visual.*attn.proj"
    config = LoraConfig(r=2, lora_alpha=6, target_modules=targets, init_lora_weights=False)
    get_peft_model(loaded(base), config).save_pretrained(out)
    return Source(model=str(base), adapter=str(out))


def as_peft(base: Path, adapter: Path, out: Path) -> dict[str, torch.Tensor]:
    PeftModel.from_pretrained(loaded(base), adapter).merge_and_unload().save_pretrained(out)
    tensors: dict[str, torch.Tensor] = load_file(out / "model.safetensors")
    return tensors


def test_the_weights_are_those_of_peft(base: Path, tmp_path: Path) -> None:
    source = trained(base, tmp_path / "adapter")
    truth = as_peft(base, tmp_path / "adapter", tmp_path / "truth")
    before = load_file(base / "model.safetensors")
    merged = dict(MergedWeights(source, "float32").tensors())
    assert merged.keys() == truth.keys() == before.keys()
    moved = {name for name in truth if not torch.equal(truth[name], before[name])}
    assert {"model.layers.0.self_attn.q_proj.weight", "visual.blocks.0.attn.proj.weight"} < moved
    assert [name for name in merged if not merged[name].allclose(truth[name], atol=1e-6)] == []


def test_an_adapter_that_is_exported_is_loaded_by_peft(base: Path, tmp_path: Path) -> None:
    source = trained(base, tmp_path / "adapter")
    recipe = Merge(
        method="task_arithmetic",
        base="base",
        inputs={"base": Source(model=str(base)), "one": source},
        rules=(Rule(inputs={"one": {"weight": 0.5}}),),
    )
    write_adapter(recipe, tmp_path / "out", card="")
    truth = as_peft(base, tmp_path / "out", tmp_path / "truth")
    merged = dict(MergedWeights(recipe, "float32").tensors())
    assert [name for name in merged if not merged[name].allclose(truth[name], atol=1e-6)] == []


def test_names_that_the_checkpoint_has_are_left_alone(base: Path, tmp_path: Path) -> None:
    trained(base, tmp_path / "adapter")
    adapter, model = read_adapter_inventory(tmp_path / "adapter"), read_inventory(base)
    named = on_model(adapter, model)
    assert named.changes.keys() < model.tensors.keys()
    assert set(named.modules.values()) == {name.removesuffix(".weight") for name in adapter.changes}
    assert on_model(named, model) is named


def test_matrices_that_lie_transposed(tmp_path: Path) -> None:
    """GPT-2's `Conv1D`, square ones among them; and back into an adapter."""
    config = transformers.GPT2Config(n_embd=8, n_layer=2, n_head=2, vocab_size=16, n_positions=8)
    torch.manual_seed(0)
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path / "base")
    settings = LoraConfig(
        r=2, lora_alpha=6, target_modules=["c_attn", "c_proj"], init_lora_weights=False
    )

    def gpt2() -> transformers.PreTrainedModel:
        return transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "base")

    def truth(adapter: Path) -> dict[str, torch.Tensor]:
        weights: dict[str, torch.Tensor] = (
            PeftModel.from_pretrained(gpt2(), adapter).merge_and_unload().state_dict()
        )
        return weights

    get_peft_model(gpt2(), settings).save_pretrained(tmp_path / "adapter")
    base = Source(model=str(tmp_path / "base"))
    one = Source(model=base.model, adapter=str(tmp_path / "adapter"))
    merged, expected = dict(MergedWeights(one).tensors()), truth(tmp_path / "adapter")
    square = "transformer.h.0.attn.c_proj.weight"
    assert not torch.equal(merged[square], gpt2().state_dict()[square])
    assert [n for n in merged if not merged[n].allclose(expected[n], atol=1e-6)] == []
    recipe = Merge(
        method="task_arithmetic",
        base="base",
        inputs={"base": base, "one": one},
        rules=(Rule(inputs={"one": {"weight": 0.5}}),),
    )
    write_adapter(recipe, tmp_path / "out", card="")
    merged, expected = dict(MergedWeights(recipe).tensors()), truth(tmp_path / "out")
    assert [n for n in merged if not merged[n].allclose(expected[n], atol=1e-6)] == []
