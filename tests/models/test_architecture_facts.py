"""What transformers knows of a class is told as transformers has it, and asked once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evomerge.models.architecture_facts import ArchitectureFacts, architecture_facts, why_unknown
from evomerge.models.meta_model import describe
from tests.architectures import ARCHITECTURES, Architecture, built, config_of


def config_file(name: str) -> dict[str, Any]:
    architecture = next(own for own in ARCHITECTURES if own.name == name)
    config = config_of(architecture)
    config.architectures = [architecture.model]
    written: dict[str, Any] = json.loads(config.to_json_string())
    return written


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda own: own.name)
def test_names_are_those_of_the_class(architecture: Architecture) -> None:
    model = built(architecture.name)
    facts = describe({"config": config_file(architecture.name), "stored": []})
    assert facts["names"] == sorted(model.state_dict())
    assert sorted(facts["tied"]) == list(architecture.tied)
    written = sorted({name for names in facts["saved"].values() for name in names})
    again = describe({"config": config_file(architecture.name), "stored": written})
    assert None not in again["loaded"].values()


def facts_of(name: str, *stored: str) -> ArchitectureFacts:
    return ArchitectureFacts.of(describe({"config": config_file(name), "stored": stored}))


def test_older_names_are_called_as_today() -> None:
    facts = facts_of("GPT-2", "h.0.attn.c_attn.weight", "transformer.wte.weight", "h.0.attn.bias")
    assert facts.canonical("h.0.attn.c_attn.weight") == "transformer.h.0.attn.c_attn.weight"
    assert facts.canonical("transformer.wte.weight") == "transformer.wte.weight"
    assert facts.canonical("h.0.attn.bias") is None
    assert "transformer.h.0.attn.c_attn.weight" in facts.transposed
    assert facts.tied == {"lm_head.weight": "transformer.wte.weight"}
    assert facts.settings["activation_function"] == "gelu_new"
    older = "bert.embeddings.LayerNorm.gamma"
    assert facts_of("BERT", older).canonical(older) == "bert.embeddings.LayerNorm.weight"
    expert = "model.layers.0.block_sparse_moe.experts.1.w2.weight"
    mixtral = facts_of("Mixtral", expert)
    assert mixtral.canonical(expert) == expert
    assert mixtral.loaded[expert] == "model.layers.0.mlp.experts.down_proj"


@pytest.mark.process
def test_an_architecture_that_transformers_does_not_know() -> None:
    config = config_file("Llama") | {"architectures": ["NobodysForCausalLM"]}
    assert architecture_facts(config) is None
    assert why_unknown(config) == (
        "the architecture 'NobodysForCausalLM': transformers has no such class"
    )


def test_code_of_a_repository_is_not_run() -> None:
    config = {"model_type": "nobodys", "auto_map": {"AutoConfig": "configuration_nobodys.Config"}}
    assert describe({"config": config, "stored": []}) == {
        "unknown": "the model type 'nobodys': it needs code of its own, which is not run"
    }


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"model_type": ["llama"]},
        {"model_type": "llama", "architectures": "x"},
        {"model_type": "llama", "architectures": ["AutoConfig"]},
        {"model_type": "llama", "architectures": ["pipeline"]},
        {"model_type": "llama", "architectures": ["Trainer"]},
        {"model_type": "llama", "num_hidden_layers": "many"},
        {"model_type": "llama", "hidden_size": -1},
    ],
)
def test_a_configuration_that_is_none_is_unknown(config: dict[str, Any]) -> None:
    said = describe({"config": config, "stored": []})["unknown"]
    assert said
    assert "\n" not in said
