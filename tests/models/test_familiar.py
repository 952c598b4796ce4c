"""What transformers does not know is told from its tables, and merged by name all the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file

from evomerge import writers
from evomerge.errors import SourceError
from evomerge.models.compatibility import check_compatibility
from evomerge.models.familiar import unfamiliar
from evomerge.models.headers import Headers
from evomerge.models.stacking import check_routable
from evomerge.operators import signatures
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Merge, Rule, Stack
from evomerge.recipe.yaml import dump_recipe
from tests.architectures import ARCHITECTURES, Architecture
from tests.families import tiny_tensors, write_model

CODE = {"AutoModelForCausalLM": "modeling_mine.Mine"}
STRANGERS: list[tuple[dict[str, Any], str]] = [
    (
        {"model_type": "llama", "architectures": ["ZebraForCausalLM"]},
        "the architecture 'ZebraForCausalLM': transformers has no such class",
    ),
    (
        {"model_type": "zebra", "architectures": ["LlamaForCausalLM"]},
        "transformers has no model type 'zebra'",
    ),
    (
        {"model_type": "mine", "architectures": ["Mine"], "auto_map": CODE},
        "transformers has no model type 'mine', and code of its repository is never run",
    ),
    (
        {"model_type": "llama", "architectures": ["Mine"], "auto_map": CODE},
        "the architecture 'Mine': it is code of its repository, which is never run",
    ),
    ({"hello": 1}, "config.json names no model_type"),
    (
        {"model_type": "llama", "architectures": [None]},
        "the architecture 'None': transformers has no such class",
    ),
]
KNOWN: list[dict[str, Any]] = [
    {"model_type": "llama"},
    {"model_type": "llama", "architectures": []},
    {"model_type": "llama", "architectures": "LlamaForCausalLM"},
    {"model_type": "llama", "architectures": {"a": 1}},
    {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "auto_map": CODE},
    {"model_type": "evomerge_stack", "architectures": ["EvomergeStackForCausalLM"]},
]


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda own: own.name)
def test_the_tables_have_every_architecture_of_the_page(architecture: Architecture) -> None:
    family = getattr(transformers, architecture.config).model_type
    assert unfamiliar({"model_type": family, "architectures": [architecture.model]}) is None


@pytest.mark.parametrize("config", KNOWN)
def test_what_is_loaded_by_its_type_is_known(config: dict[str, Any]) -> None:
    assert unfamiliar(config) is None


@pytest.mark.parametrize(("config", "said"), STRANGERS)
def test_strangers_are_told_from_text_alone(config: dict[str, Any], said: str) -> None:
    assert unfamiliar(config) == said


@pytest.mark.process
def test_a_class_of_another_family_is_asked_about() -> None:
    """Such a pair is in no table; transformers is asked whether it can make it."""
    said = unfamiliar({"model_type": "llama", "architectures": ["GPT2LMHeadModel"]})
    assert said is not None
    assert said.startswith("GPT2LMHeadModel: transformers cannot build it: ")


@pytest.mark.parametrize(("config", "said"), STRANGERS)
def test_whole_models_are_merged_by_name(tmp_path: Path, config: dict[str, Any], said: str) -> None:
    sources = {}
    for seed, name in enumerate(("a", "b")):
        folder = write_model(tmp_path / name, tiny_tensors(seed))
        (folder / "config.json").write_text(json.dumps(config))
        sources[name] = Source(model=str(folder))
    half = {name: {"weight": 0.5} for name in sources}
    recipe = Merge(method="linear", inputs=sources, rules=(Rule(inputs=half),))
    (tmp_path / "r.yaml").write_text(dump_recipe(recipe))
    (sentence,) = check_compatibility(recipe, signatures(), origin="r")
    assert sentence.startswith(f"{tmp_path / 'a'}: {said}; its tensors are merged by name")
    assert sentence in writers.merge(tmp_path / "r.yaml", tmp_path / "out")
    made = load_file(tmp_path / "out" / "model.safetensors")
    parents = [load_file(tmp_path / name / "model.safetensors") for name in sources]
    for name, value in made.items():
        halves = [parent[name].float() / 2 for parent in parents]
        assert torch.allclose(value.float(), sum(halves, torch.tensor(0.0)), atol=1e-2)


@pytest.mark.process
def test_layers_of_a_stranger_are_neither_stacked_nor_routed(tmp_path: Path) -> None:
    """Nor where its model type is one that engines route: its layers may be others."""
    config = {"model_type": "llama", "architectures": ["ZebraForCausalLM"]}
    source = Source(model=str(write_model(tmp_path / "a", tiny_tensors(0), **config)))
    hops = tuple(Hop(of="a", layer=layer) for layer in (0, 1, 1))
    stack = Stack(inputs={"a": source}, embedding="a", head="a", hops=hops)
    with pytest.raises(SourceError, match=r"a stack of ZebraForCausalLM: .* no such class"):
        check_compatibility(stack, signatures(), origin="r")
    with pytest.raises(SourceError, match="no such class; its layers cannot be routed"):
        check_routable(stack, Headers())
