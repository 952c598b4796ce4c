"""Every setting that peft's `LoraConfig` has: what we make of an adapter with it is what peft's own
`merge_and_unload` makes of it, or a sentence that names the setting.

The settings are those of peft's class: one that a later peft adds fails here until it is known.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import typing
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM

from evomerge.errors import SourceError
from evomerge.merging.weights import MergedWeights
from evomerge.models.adapter_headers import read_adapter_inventory
from evomerge.models.adapter_settings import FREE, INITIAL, READ, REFUSED
from evomerge.recipe.source import Source

Q0, UP1 = "model.layers.0.self_attn.q_proj", "model.layers.1.mlp.up_proj"
USUAL: Mapping[str, Any] = {
    "r": 2,
    "lora_alpha": 6,
    "target_modules": ["q_proj", "up_proj"],
    "task_type": "CAUSAL_LM",
}

TRAINED: Mapping[str, list[dict[str, Any]]] = {
    "r": [{"r": 3}],
    "lora_alpha": [{"lora_alpha": 5}, {"lora_alpha": 2.5}],
    "use_rslora": [{"use_rslora": True}, {"use_rslora": True, "rank_pattern": {"q_proj": 5}}],
    "rank_pattern": [
        {"rank_pattern": {"q_proj": 4}},
        {"rank_pattern": {f"^{UP1}": 3, r"layers\.\d+\.self_attn\.q_proj": 1, "q_proj": 4}},
        {"rank_pattern": {"proj": 4, "1.self_attn.q_proj": 3}},
    ],
    "alpha_pattern": [
        {"alpha_pattern": {"up_proj": 1, "mlp.up_proj": 3}},
        {"alpha_pattern": {r".*(q|k)_proj": 1.5}, "rank_pattern": {"up_proj": 5}},
    ],
    "init_lora_weights": [{"init_lora_weights": value} for value in INITIAL if value is not None],
    "fan_in_fan_out": [{"fan_in_fan_out": False}],
    "use_dora": [{"use_dora": True}, {"use_dora": True, "use_rslora": True}],
    "target_modules": [
        {"target_modules": [Q0, "v_proj"]},
        {"target_modules": r".*layers\.1.*(q|down)_proj"},
        {"target_modules": "all-linear"},
    ],
    "exclude_modules": [
        {"exclude_modules": ["0.self_attn.q_proj"]},
        {"exclude_modules": r".*1\.mlp.*"},
    ],
    "layers_to_transform": [{"layers_to_transform": [1]}, {"layers_to_transform": 0}],
    "layers_pattern": [
        {"layers_to_transform": [1], "layers_pattern": "layers"},
        {"layers_to_transform": [1], "layers_pattern": ["h", "layers"]},
    ],
    "task_type": [{"task_type": None}],
    "auto_mapping": [{"auto_mapping": {"base_model_class": "Llama", "parent_library": "nowhere"}}],
    "peft_version": [{"peft_version": "0.1"}],
    "base_model_name_or_path": [{"base_model_name_or_path": "another"}],
    "revision": [{"revision": "main"}],
    "inference_mode": [{"inference_mode": False}],
    "lora_dropout": [{"lora_dropout": 0.5}],
    "eva_config": [{"init_lora_weights": "eva", "eva_config": peft.EvaConfig(rho=1.0)}],
    "qalora_group_size": [{"qalora_group_size": 4}],
    "megatron_core": [{"megatron_core": "mine"}],
    "runtime_config": [{"runtime_config": peft.LoraRuntimeConfig(ephemeral_gpu_offload=True)}],
    "bias": [{"bias": "all"}, {"bias": "lora_only"}],
    "lora_bias": [
        {"lora_bias": True, "target_modules": ["q_proj", "k_proj"]},
        {"lora_bias": True, "target_modules": ["q_proj"], "bias": "lora_only", "use_rslora": True},
    ],
    "modules_to_save": [
        {"modules_to_save": ["down_proj"]},
        {"modules_to_save": ["mlp", "norm"]},  # one that has the factors of another setting
        {"modules_to_save": ["0.self_attn.k_proj"], "bias": "all"},
    ],
    "trainable_token_indices": [
        {"trainable_token_indices": [5, 2]},
        {"trainable_token_indices": {"embed_tokens": [1, 2], "lm_head": [1, 2]}},
    ],
    "target_parameters": [
        {
            "target_parameters": ["up_proj.weight", "0.self_attn.k_proj.weight"],
            "target_modules": [],
        },
        {"target_parameters": ["v_proj.weight"], "rank_pattern": {"v_proj.weight": 4}},
    ],
    "ensure_weight_tying": [
        {"ensure_weight_tying": True},
        {"ensure_weight_tying": True, "modules_to_save": ["embed_tokens"]},
        {"ensure_weight_tying": True, "modules_to_save": ["lm_head"]},
        {"ensure_weight_tying": True, "trainable_token_indices": [7, 3, 4]},
    ],
    # Refused, but peft can train with it here.
    "alora_invocation_tokens": [{"alora_invocation_tokens": [3, 4]}],
    "layer_replication": [{"layer_replication": [[0, 2], [1, 2]]}],
}
"""Field -> settings that peft can train an adapter with on a tiny model."""

WRITTEN: Mapping[str, list[Any]] = {
    "peft_type": [one.value for one in peft.PeftType if one.value != "LORA"],
    "init_lora_weights": [
        *("pissa", "pissa_niter_4", "olora", "OLoRA", "corda", "lora_ga", "loftq", "tomorrow"),
        *(3, ["eva"]),
    ],
    "fan_in_fan_out": [True],
    "loftq_config": [{"loftq_bits": 4}],
    "corda_config": [{"corda_method": "kpm"}],
    "lora_ga_config": [{"scale": "unit"}],
    "megatron_config": [{"hidden_size": 64}],
    "use_qalora": [True],
    "use_bdlora": [{"nblocks": 2}, {}],
    "arrow_config": [{"top_k": 2}],
    "kasa_config": [{"beta": 0.1}],
    "monteclora_config": [{"num_samples": 2}],
    "velora_config": [{"num_groups": 8}],
}
"""Field -> values that are written into the configuration of a plain adapter."""


def fields() -> set[str]:
    return {field.name for field in dataclasses.fields(LoraConfig)}


def said(adapter: Path) -> str:
    with pytest.raises(SourceError) as refused:
        read_adapter_inventory(adapter)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2, whose attention has biases, and whose head is its embedding."""
    config = Qwen2Config(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "base"
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def _warnings_of_peft() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def trained(base: Path, out: Path, **settings: Any) -> Path:
    """An adapter as peft saves it, each trainable weight moved from where it began."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    tuned = get_peft_model(model, LoraConfig(**{**USUAL, **settings}))
    with torch.no_grad():
        for parameter in tuned.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    tuned.save_pretrained(out)
    return out


@pytest.mark.parametrize("initial", ["pissa", "olora"])
def test_one_that_peft_made_plain(base: Path, tmp_path: Path, initial: str) -> None:
    """What the refusal advises: the adapter is saved as the change of the model as it was."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    tuned = get_peft_model(model, LoraConfig(**USUAL, init_lora_weights=initial))
    tuned.peft_config["default"].init_lora_weights = True
    tuned.save_pretrained(tmp_path / "began")
    tuned.peft_config["default"].init_lora_weights = initial
    with torch.no_grad():
        for parameter in tuned.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    tuned.save_pretrained(
        tmp_path / "plain", path_initial_model_for_weight_conversion=tmp_path / "began"
    )
    truth = tuned.merge_and_unload().state_dict()
    source = Source(model=str(base), adapter=str(tmp_path / "plain"))
    merged = dict(MergedWeights(source, "float32").tensors())
    assert merged
    assert [name for name in merged if not merged[name].allclose(truth[name], atol=1e-5)] == []


def test_every_setting_of_peft_is_known() -> None:
    known = READ | FREE | REFUSED.keys()
    assert fields() - known == set(), "peft has new settings: say of each what it means"
    assert not READ & FREE
    assert not (READ | FREE) & REFUSED.keys()
    assert fields() - TRAINED.keys() - WRITTEN.keys() == set(), "settings without an example"


def test_every_initialisation_of_peft_is_known() -> None:
    hints = typing.get_type_hints(LoraConfig)["init_lora_weights"]
    names = {one for part in typing.get_args(hints) for one in typing.get_args(part)}
    assert len(names) >= 9
    tried = [*WRITTEN["init_lora_weights"], *INITIAL, "pissa_niter_[number of iters]"]
    assert [one for one in names if one not in tried] == []


@pytest.mark.parametrize(
    ("field", "settings"), [(field, one) for field, every in TRAINED.items() for one in every]
)
def test_the_weights_are_those_of_peft_or_the_setting_is_named(
    base: Path, tmp_path: Path, field: str, settings: dict[str, Any]
) -> None:
    adapter = trained(base, tmp_path / "adapter", **settings)
    if field in REFUSED:
        message = said(adapter)
        assert "adapter_config.json: " in message
        assert field in message
    else:
        assert_as_peft(base, adapter)


def assert_as_peft(base: Path, adapter: Path) -> None:
    """The weights are those that peft merges, and not those of the base."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    truth = PeftModel.from_pretrained(model, adapter).merge_and_unload().state_dict()
    assert any(not torch.equal(truth[name], before[name]) for name in truth)
    source = Source(model=str(base), adapter=str(adapter))
    merged = dict(MergedWeights(source, "float32").tensors())
    assert merged
    assert truth.keys() - merged.keys() <= {"lm_head.weight"}
    assert [name for name in merged if not merged[name].allclose(truth[name], atol=1e-6)] == []


@pytest.mark.parametrize(
    ("field", "value"), [(field, one) for field, every in WRITTEN.items() for one in every]
)
def test_a_written_setting_is_named_or_plays_no_part(
    plain: Path, field: str, value: object
) -> None:
    with_setting(plain, **{field: value})
    if field in FREE:
        assert read_adapter_inventory(plain).changes
    else:
        message = said(plain)
        assert field in message
        assert "adapter_config.json: " in message


@pytest.fixture(scope="module")
def usual(base: Path) -> Path:
    return trained(base, base.with_name("usual"))


@pytest.fixture
def plain(usual: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(usual, tmp_path / "plain"))


def with_setting(adapter: Path, **settings: object) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


@pytest.mark.parametrize("field", sorted(REFUSED))
def test_what_is_refused_may_be_off(plain: Path, field: str) -> None:
    before = read_adapter_inventory(plain).changes
    with_setting(plain, **{field: None})
    assert read_adapter_inventory(plain).changes == before


@pytest.mark.parametrize("value", [0, 1, True, "yes", [1], {"a": 1}, {}])
def test_a_setting_that_nobody_knows(plain: Path, value: object) -> None:
    with_setting(plain, warp=value)
    assert "the field 'warp'" in said(plain)


@pytest.mark.parametrize("value", [None, False, []])
def test_a_setting_that_nobody_knows_may_be_off(plain: Path, value: object) -> None:
    with_setting(plain, warp=value)
    assert read_adapter_inventory(plain).changes


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"r": 4}, "r and rank_pattern give"),
        ({"r": 0}, "r is 0, a rank is 1 or more"),
        ({"r": True}, "r is True"),
        ({"rank_pattern": {"q_proj": 1}}, "the rank 1, its factors have 2"),
        ({"rank_pattern": [1]}, "rank_pattern is [1]"),
        ({"rank_pattern": {"q_proj": "x"}}, "rank_pattern.q_proj is 'x'"),
        ({"alpha_pattern": {"q_proj": "x"}}, "alpha_pattern.q_proj is 'x'"),
        ({"alpha_pattern": {"(": 1}}, "alpha_pattern has an expression that is none"),
        ({"alpha_pattern": {r"(.|..|\w\w)*[XY]": 1}}, "alpha_pattern has an expression that takes"),
        ({"alpha_pattern": {"a" * 10_001: 1}}, "an expression of 10,011 characters"),
        ({"lora_alpha": float("nan")}, "NaN is no number to reckon with"),
        ({"lora_alpha": 10**400}, "adapter_config.json: "),
        ({"alpha_pattern": {"q_proj": -(10**400)}}, "adapter_config.json: "),
        ({"target_modules": "(?R)"}, "target_modules has an expression that is none"),
        ({"target_modules": "(?:q_prof){e<=1}"}, "target_modules has an expression that is none"),
        ({"target_modules": "[[a]b]"}, "target_modules has an expression that is none"),
        ({"alpha_pattern": {"a{1000000000}": 1}}, "alpha_pattern has an expression that repeats"),
        ({"target_modules": "((a{0,99}){99}){99}"}, "target_modules has an expression that repea"),
        ({"lora_alpha": True}, "lora_alpha is True"),
        ({"target_modules": ["v_proj"]}, "target_modules leaves out 'model.layers.0"),
        ({"target_modules": "q_proj"}, "target_modules leaves out"),
        ({"target_modules": []}, "target_modules leaves out"),
        ({"target_modules": 3}, "target_modules is neither"),
        ({"exclude_modules": ["up_proj"]}, "exclude_modules leaves out"),
        ({"layers_to_transform": [0]}, "layers_to_transform leaves out 'model.layers.1"),
        ({"layers_to_transform": [0, 1], "layers_pattern": "h"}, "layers_to_transform leaves out"),
        ({"layers_to_transform": [0, 1], "layers_pattern": 3}, "layers_pattern is neither"),
    ],
)
def test_settings_that_do_not_go_with_the_factors(
    plain: Path, settings: dict[str, Any], what: str
) -> None:
    with_setting(plain, **settings)
    assert what in said(plain)
