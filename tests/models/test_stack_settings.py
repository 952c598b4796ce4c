"""A stack's configuration follows its layers: transformers then computes what the layers do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import nn

from evomerge.errors import SourceError
from evomerge.models.architecture import in_layer
from evomerge.models.blueprint import outline
from evomerge.models.headers import Headers
from evomerge.models.meta_layers import stacked
from evomerge.models.stack_settings import with_changes
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Stack
from tests.architecture_models import answers, layers_by_hand, main_list, real
from tests.architectures import ARCHITECTURES, LLAMA, Architecture, config_of


def config_file(model: Any) -> dict[str, Any]:
    """As `save_pretrained` writes it."""
    model.config.architectures = [type(model).__name__]
    written: dict[str, Any] = json.loads(model.config.to_json_string())
    return written


def asked(model: Any, tensor: str, hops: list[int]) -> dict[str, Any]:
    return {
        "configs": {"m": config_file(model)},
        "donor": "m",
        "hops": [["m", layer] for layer in hops],
        "layers": tensor,
    }


def as_stacked(model: Any, name: str, hops: list[int], changes: Any) -> torch.Tensor:
    """The model that transformers makes of the changed configuration, with the hops' weights."""
    config = with_changes(config_file(model), changes)
    settings = type(model.config).from_dict(config)
    made = type(model)(settings).eval()
    state = {
        key: value for key, value in model.state_dict().items() if not key.startswith(f"{name}.")
    }
    for number, layer in enumerate(hops):
        prefix = f"{name}.{layer}."
        for key, value in model.state_dict().items():
            if key.startswith(prefix):
                state[in_layer(key, number)] = value
    made.load_state_dict(state)
    return answers(made)


def same_as_by_hand(architecture: Architecture, hops: list[int]) -> dict[str, Any]:
    """The answer, once the stack's outputs are those of its layers run by hand."""
    model = real(architecture)
    name = main_list(model, next(iter(architecture.towers.values())))
    answer = stacked(asked(model, f"{name}.0.{any_tensor(model, name)}", hops))
    assert "refused" not in answer, answer
    got = as_stacked(model, name, hops, answer["changes"])
    by_hand = layers_by_hand({"m": model}, name, [("m", layer) for layer in hops])
    assert torch.allclose(got, by_hand, atol=1e-4)
    assert not torch.allclose(got, answers(model), atol=1e-4)
    return answer


def any_tensor(model: nn.Module, name: str) -> str:
    """The name of a tensor within the first layer."""
    return next(iter(model.get_submodule(f"{name}.0").state_dict()))


def called(name: str, **settings: Any) -> Architecture:
    known = next(own for own in ARCHITECTURES if own.name == name)
    return replace(known, settings=known.settings | settings)


@pytest.mark.parametrize(
    ("architecture", "hops", "changes"),
    [
        (called("SmolLM3"), [0, 3, 1, 2, 3], {"no_rope_layers": [1, 0, 1, 1, 0]}),
        (called("Qwen3-Next"), [3, 0, 1], {"layer_types": ["full_attention"]}),
        (called("DeepSeek-V3"), [0, 0, 2, 3, 1], {"first_k_dense_replace": 2}),
        (called("DeepSeek-V3"), [3, 2, 1], {"first_k_dense_replace": 0}),
        (called("Qwen2-MoE", mlp_only_layers=[1, 2]), [0, 2, 3, 1], {"mlp_only_layers": [1, 3]}),
        (called("Gemma2"), [1, 1, 0, 2], {"layer_types": ["full_attention"] * 2}),
        (called("T5"), [0, 2, 1, 2], {"num_decoder_layers": 4}),
    ],
    ids=lambda value: value.name if isinstance(value, Architecture) else "",
)
def test_layers_in_another_order(
    architecture: Architecture, hops: list[int], changes: dict[str, Any]
) -> None:
    answer = same_as_by_hand(architecture, hops)
    written = {key: value for _, keys in answer["changes"] for key, value in keys.items()}
    for key, value in changes.items():
        length = len(value) if isinstance(value, list) else None
        assert (written[key][:length] if length else written[key]) == value


@pytest.mark.parametrize(
    ("architecture", "hops", "said"),
    [
        (called("DeepSeek-V3"), [1, 0, 2], "hop 0 is layer 1 of 'm', and the configuration can"),
        (called("ModernBERT"), [0, 1, 0, 2], "hop 2 is layer 0 of 'm'"),
        (called("T5"), [0, 1, 0], "hop 2 is layer 0 of 'm'"),
        (called("GPT-2", scale_attn_by_inverse_layer_idx=True), [0, 1], "its own number"),
    ],
    ids=lambda value: value.name if isinstance(value, Architecture) else "",
)
def test_what_no_configuration_can_say_is_refused(
    architecture: Architecture, hops: list[int], said: str
) -> None:
    model = built_with(architecture)
    name = main_list(model, next(iter(architecture.towers.values())))
    answer = stacked(asked(model, f"{name}.0.{any_tensor(model, name)}", hops))
    assert said in answer["refused"]


ZAMBA = {
    "num_hidden_layers": 6,
    "num_key_value_heads": 2,
    "attn_layer_period": 3,
    "attn_layer_offset": 1,
    "n_mamba_heads": 2,
    "mamba_d_state": 4,
    "use_mamba_kernels": False,
}


def test_layers_that_have_tensors_in_common_are_refused() -> None:
    zamba = Architecture("Zamba", "ZambaForCausalLM", "ZambaConfig", LLAMA | ZAMBA)
    answer = stacked(asked(built_with(zamba), "model.layers.0.input_layernorm.weight", [0, 1]))
    assert answer["refused"].startswith("layers have tensors in common: model.layers.4.shared_")


def test_an_infinity_is_read_as_transformers_writes_it() -> None:
    settings = {"hidden_size": 16, "num_hidden_layers": 4, "num_heads": 4, "head_dim": 8}
    mamba = Architecture("Mamba2", "Mamba2ForCausalLM", "Mamba2Config", settings)
    model = built_with(mamba)
    written = config_file(model)
    assert written["time_step_limit"] == [0.0, {"__float__": "Infinity"}]
    answer = stacked(asked(model, "backbone.layers.0.norm.weight", [0, 1]))
    assert answer["changes"] == [((), {"num_hidden_layers": 2})]


def built_with(architecture: Architecture) -> Any:
    with torch.device("meta"):
        return getattr(transformers, architecture.model)(config_of(architecture))


def test_an_unknown_architecture_cannot_be_stacked() -> None:
    config = {"model_type": "llama", "architectures": ["NobodysForCausalLM"]}
    request = {"configs": {"m": config}, "donor": "m", "hops": [["m", 0]], "layers": "a"}
    assert stacked(request)["refused"] == (
        "the architecture 'NobodysForCausalLM': transformers has no such class"
    )
    config["auto_map"] = "x"
    assert stacked(request)["refused"] == (
        "the architecture 'NobodysForCausalLM': it needs code of its own, which is not run"
    )


def stack_of(folder: Path, *layers: int) -> Stack:
    hops = tuple(Hop(of="m", layer=layer) for layer in layers)
    inputs = {"m": Source(model=str(folder))}
    return Stack(inputs=inputs, embedding="m", head="m", hops=hops)


@pytest.mark.process
def test_a_stacks_blueprint(tmp_path: Path) -> None:
    """Learned in a process apart; the tensors of each hop are its own layer's."""
    real(called("DeepSeek-V3")).save_pretrained(tmp_path)
    made = outline(stack_of(tmp_path, 0, 2, 1, 2, 3), Headers())
    assert made.config["num_hidden_layers"] == 5
    names = {tensor.name: tensor.stored for tensor in made.tensors}
    assert names["model.layers.0.mlp.up_proj.weight"] == "model.layers.0.mlp.up_proj.weight"
    expert = "model.layers.{}.mlp.experts.0.up_proj.weight"
    assert [names.get(expert.format(i)) for i in range(5)] == [
        None,
        *(expert.format(layer) for layer in (2, 1, 2, 3)),
    ]


@pytest.mark.slow
@pytest.mark.process
def test_a_stacks_refusal_names_folder_and_class(tmp_path: Path) -> None:
    real(called("DeepSeek-V3")).save_pretrained(tmp_path)
    with pytest.raises(SourceError) as caught:
        outline(stack_of(tmp_path, 1, 0), Headers())
    assert str(caught.value) == (
        f"{tmp_path}: a stack of DeepseekV3ForCausalLM: hop 0 is layer 1 of 'm', and the"
        " configuration can only make a layer of another kind there"
    )


def test_a_model_of_two_towers_and_no_decoder_is_refused(tmp_path: Path) -> None:
    model = transformers.CLIPModel(config_of(called("CLIP")))
    model.save_pretrained(tmp_path)
    with pytest.raises(SourceError) as caught:
        outline(stack_of(tmp_path, 0, 1), Headers())
    assert str(caught.value) == (
        f"{tmp_path}: a stack needs a model with a decoder, or with one tower, whose layers its"
        " hops name; the towers here are: text, vision"
    )
