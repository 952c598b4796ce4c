"""The order in which a model's elements are counted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evomerge.errors import RecipeError
from evomerge.models.flat import flattened
from evomerge.recipe.selector import Selector
from evomerge.recipe.source import Source
from tests.families import HIDDEN, LAYERS, VOCABULARY, Family, tiny_tensors, write_model

ALL = [Selector()]
IN_LAYER = 4 * HIDDEN**2 + 2 * 2 * HIDDEN**2 + HIDDEN


def test_embedding_layers_ascending_and_the_rest(family: Family) -> None:
    (flat,) = flattened(family.base, ALL, "r")
    names = list(flat.starts)
    assert names[0] == "model.embed_tokens.weight"
    assert names[1:8] == sorted(name for name in tiny_tensors(0) if ".layers.0." in name)
    assert names[-1] == "model.norm.weight"
    assert set(names) == set(tiny_tensors(0))
    first = VOCABULARY * HIDDEN
    assert flat.blocks == (0, *(first + i * IN_LAYER for i in range(LAYERS + 1)))
    assert flat.size == first + LAYERS * IN_LAYER + HIDDEN


def test_layers_are_counted_as_numbers(tmp_path: Path) -> None:
    tensors = {f"model.layers.{i}.mlp.w": torch.ones(2) for i in (0, 2, 10)}
    model = Source(model=str(write_model(tmp_path / "m", tensors, num_hidden_layers=11)))
    (flat,) = flattened(model, ALL, "r")
    assert list(flat.starts.values()) == [0, 2, 4]
    assert list(flat.starts) == list(tensors)


def test_a_tensor_belongs_to_the_first_chromosome_that_selects_it(family: Family) -> None:
    where = [Selector(component="attention"), Selector(layers=(0, 2)), Selector()]
    attention, lower, rest = flattened(family.base, where, "r")
    assert attention.size == LAYERS * 4 * HIDDEN**2
    assert attention.blocks == tuple(i * 4 * HIDDEN**2 for i in range(LAYERS))
    assert next(iter(lower.starts)) == "model.layers.0.input_layernorm.weight"
    assert not any("attn" in name for name in lower.starts)
    assert list(rest.starts)[:: len(rest.starts) - 1] == [
        "model.embed_tokens.weight",
        "model.norm.weight",
    ]


def test_buffers_do_not_count_and_tied_heads_stand_once(tmp_path: Path) -> None:
    tensors = tiny_tensors(0)
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    tensors["model.layers.0.position_ids"] = torch.arange(4)
    tied = Source(model=str(write_model(tmp_path / "tied", tensors)))
    free = Source(model=str(write_model(tmp_path / "free", tensors, tie_word_embeddings=False)))
    assert set(flattened(tied, ALL, "r")[0].starts) == set(tiny_tensors(0))
    assert list(flattened(free, ALL, "r")[0].starts)[-2:] == ["lm_head.weight", "model.norm.weight"]


def test_a_chromosome_without_tensors_is_refused(family: Family) -> None:
    with pytest.raises(RecipeError, match=r"r: chromosomes.1 selects no tensor"):
        flattened(family.base, [Selector(layers=(0, 3)), Selector(component="mlp"), *ALL], "r")
