"""What a recipe makes, known before it is made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from evomerge.errors import ConfigError, SourceError
from evomerge.merging.checkpoint import write_checkpoint
from evomerge.models.blueprint import Blueprint, blueprint, outline
from evomerge.models.headers import Headers
from evomerge.models.inventory import read_inventory
from evomerge.models.stack_layout import layout_of
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Merge, Recipe, Stack
from tests.families import LAYERS, Family, tiny_tensors, write_model
from tests.merging import test_frozen_bytes as frozen

Q = "model.layers.{}.self_attn.q_proj.weight"


def stack(*hops: tuple[str, int], **inputs: Recipe) -> Stack:
    first = hops[0][0]
    run = tuple(Hop(of=of, layer=layer) for of, layer in hops)
    return Stack(inputs=inputs, embedding=first, head=hops[-1][0], hops=run)


@pytest.mark.parametrize("make", frozen.FROZEN, ids=lambda make: str(make.__name__))
def test_the_folder_is_what_the_blueprint_says(
    make: Callable[[Family], frozen.Made], family: Family, tmp_path: Path
) -> None:
    recipe, settings = make(family)
    made: Blueprint = settings.get("layout") or blueprint(recipe, Headers())
    made = made.stored_as(settings.get("dtype"))
    write_checkpoint(recipe, tmp_path / "out", card="", **settings)
    written = read_inventory(tmp_path / "out")
    assert {one.name: (one.dtype, one.shape) for one in made.tensors} == {
        name: (info.dtype, info.shape) for name, info in written.tensors.items()
    }
    assert json.loads((tmp_path / "out" / "config.json").read_text()) == made.config
    assert (made.layers, made.parameters, made.size) == (
        written.layers,
        written.parameters,
        written.size,
    )
    assert made.tokens.rows == written.vocabulary_size
    assert made.tokens.digest == written.vocabulary


def test_a_stacks_tensors_say_where_they_come_from(family: Family) -> None:
    merged = Merge(method="linear", base="m", inputs={"m": family.math, "j": family.json})
    recipe = stack(("x", 2), ("y", 0), ("x", 2), x=merged, y=family.base)
    tensors = {tensor.name: tensor for tensor in outline(recipe, Headers()).tensors}
    assert [(tensors[Q.format(i)].source, tensors[Q.format(i)].stored) for i in range(3)] == [
        (family.math, Q.format(2)),
        (family.base, Q.format(0)),
        (family.math, Q.format(2)),
    ]
    assert tensors["model.embed_tokens.weight"].source == family.math
    again = stack(("z", 1), ("z", 0), z=recipe)
    nested = {tensor.name: tensor for tensor in outline(again, Headers()).tensors}
    assert nested[Q.format(0)].source == family.base
    assert Q.format(2) not in nested


def test_weights_have_the_donors_type_and_buffers_their_own(tmp_path: Path) -> None:
    for name, dtype in (("a", torch.float16), ("b", torch.float32)):
        tensors = tiny_tensors(0, dtype)
        for layer in range(LAYERS):
            tensors[f"model.layers.{layer}.self_attn.bias"] = torch.arange(4)
        write_model(tmp_path / name, tensors)
    a, b = (Source(model=str(tmp_path / name)) for name in "ab")
    made = outline(stack(("a", 0), ("b", 1), a=a, b=b), Headers())
    types = {tensor.name: tensor.dtype for tensor in made.tensors}
    assert {types[Q.format(0)], types[Q.format(1)]} == {"F16"}
    assert types["model.layers.1.self_attn.bias"] == "I64"
    changed = {tensor.name: tensor.dtype for tensor in made.stored_as("float32").tensors}
    assert (changed[Q.format(1)], changed["model.layers.1.self_attn.bias"]) == ("F32", "I64")
    with pytest.raises(ConfigError, match="did you mean 'bfloat16'"):
        made.stored_as("bfloat")


def test_layers_are_counted_where_the_configuration_counts_them(family: Family) -> None:
    """Also in the part of the language model, and under older names of the key."""
    text = {"text_config": {"num_layers": LAYERS, "layer_types": ["full_attention"] * LAYERS}}
    folder = write_model(family.folder / "parts", tiny_tensors(0), **text)
    source = Source(model=str(folder))
    config = outline(stack(("a", 1), ("a", 2), a=source), Headers()).config
    assert config["text_config"] == {"num_layers": 2, "layer_types": ["full_attention"] * 2}


def test_a_model_that_lacks_a_tensor(family: Family) -> None:
    tensors = tiny_tensors(1)
    del tensors[Q.format(1)]
    lacking = Source(model=str(write_model(family.folder / "lacking", tensors)))
    with pytest.raises(SourceError, match=rf"lacking: has no tensor '{Q.format(1)}'"):
        outline(stack(("a", 0), ("b", 1), a=family.base, b=lacking), Headers())


def test_a_folded_stack_is_its_pool_and_a_path(family: Family) -> None:
    hops = (Hop(of="a", layer=2, scale=0.5), Hop(of="a", layer=2))
    recipe = Stack(inputs={"a": family.base}, embedding="a", head="a", hops=hops)
    made = layout_of(recipe, folded=False, origin="recipe")
    assert made is not None
    assert (made.layers, made.config["num_hidden_layers"]) == (1, 1)
    assert made.config["route"]["layers"] == [0, 0]
    assert list(made.files) == ["modeling_evomerge_stack.py"]
