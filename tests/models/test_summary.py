"""What `check` says of a model: towers, components, experts, ties, buffers, in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from evomerge.models.headers import Headers
from evomerge.models.summary import ModelSummary, summaries, summary_of
from evomerge.recipe.source import Source
from tests.architectures import ARCHITECTURES, Architecture, built, saved_names
from tests.families import Family, tiny_tensors, write_model


def summary(folder: Path, architecture: Architecture) -> ModelSummary:
    """Of a folder with the architecture's tensors; what is renamed is (60, 16)."""
    shapes = {name: value.shape for name, value in built(architecture.name).state_dict().items()}
    tensors = {
        name: torch.zeros(shapes.get(name, (60, 16))) for name in saved_names(architecture.name)
    }
    config: dict[str, Any] = {"num_hidden_layers": None, "hidden_size": None, "vocab_size": None}
    config |= {"architectures": [architecture.model], "tie_word_embeddings": False}
    place = write_model(folder, tensors, **config)
    return summary_of(Source(model=str(place)), Headers())


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda own: own.name)
def test_each_architecture_as_transformers_has_it(
    tmp_path: Path, architecture: Architecture
) -> None:
    found = summary(tmp_path / "m", architecture)
    assert dict(found.towers) == architecture.towers
    assert next(iter(found.towers)) == next(iter(architecture.towers))
    heads = [name for name in architecture.tied if name.endswith(".weight")]
    assert found.tied_head == any("embed_tokens" not in name for name in heads)
    assert (found.experts is not None) == ("expert" in architecture.components)


def test_what_a_line_says(tmp_path: Path, family: Family) -> None:
    found = summary_of(family.base, Headers())
    assert str(found) == "llama: decoder of 3 layers; attention, mlp, norm, embedding"
    tensors = tiny_tensors(0) | {
        "model.layers.0.mlp.experts.0.up_proj.weight": torch.ones(4, 4),
        "model.layers.0.mlp.experts.7.up_proj.weight": torch.ones(4, 4),
        "model.layers.1.self_attn.rotary_emb.inv_freq": torch.ones(4),
        "model.steps": torch.zeros(1, dtype=torch.int64),
    }
    folder = write_model(tmp_path / "m", tensors, architectures=["Some\nForCausalLM"])
    found = summary_of(Source(model=str(folder)), Headers())
    assert str(found) == (
        "Some ForCausalLM: decoder of 3 layers; expert (8 experts a layer), attention, mlp, norm,"
        " embedding; buffers: model.steps; not read: model.layers.#.self_attn.rotary_emb.inv_freq"
    )
    assert json.loads(json.dumps(found.to_json()))["towers"] == {"decoder": 3}


def test_a_tied_head_that_is_stored_is_left_out(tmp_path: Path) -> None:
    tensors = tiny_tensors(0)
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    folder = write_model(tmp_path / "m", tensors, architectures=["LlamaForCausalLM"])
    said = str(summary_of(Source(model=str(folder)), Headers()))
    assert said.endswith("embedding; head tied to the embedding; not read: lm_head.weight")
    tensors["lm_head.weight"] = tensors["lm_head.weight"] + 1
    other = write_model(
        tmp_path / "n", tensors, architectures=["LlamaForCausalLM"], tie_word_embeddings=False
    )
    said = str(summary_of(Source(model=str(other)), Headers()))
    assert said.endswith("norm, embedding, head")


def test_alike_models_are_told_together(tmp_path: Path, family: Family) -> None:
    other = Source(model=str(write_model(tmp_path / "o", tiny_tensors(3), model_type="mistral")))
    named = [("base", family.base), ("lora", family.lora), ("o", other), ("base", family.base)]
    told = summaries(named, Headers())
    assert [names for names, _ in told] == [["base", "lora"], ["o"]]
