"""Towers, depths and components of every architecture, read from checkpoint names alone."""

from __future__ import annotations

import re

import pytest

from evomerge.models.anatomy import anatomy_of
from evomerge.recipe.selector import Selector, Tower
from tests.architectures import ARCHITECTURES, Architecture, built, saved_names

EACH = pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda own: own.name)


@EACH
def test_the_table(architecture: Architecture) -> None:
    names = saved_names(architecture.name)
    anatomy = anatomy_of(names)
    assert {own.tower: own.layers for own in anatomy.towers} == architecture.towers
    assert (anatomy.main is not None) == architecture.main
    # A head that is tied is not there.
    tied = any("head" in name or "out" in name or "decoder" in name for name in architecture.tied)
    expected = {c for c in architecture.components if c != "head" or not tied}
    assert set(anatomy.components) - {"head"} == expected - {"head"}
    other = {name for name in names if anatomy.place(name).component is None}
    assert all(name.startswith(architecture.other or ("none",)) for name in other), other
    assert bool(other) == bool(architecture.other)


@EACH
def test_ties_and_buffers_are_transformers_own(architecture: Architecture) -> None:
    model = built(architecture.name)
    assert sorted(model.all_tied_weights_keys) == list(architecture.tied)
    weights = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    buffers = {
        re.sub(r"\.\d+\.", ".#.", name) for name in model.state_dict() if name not in weights
    }
    assert sorted(buffers) == list(architecture.buffers)


@EACH
def test_every_layer_of_a_tower_is_selected(architecture: Architecture) -> None:
    anatomy = anatomy_of(saved_names(architecture.name))
    for tower, layers in architecture.towers.items():
        named: Tower = next(own.tower for own in anatomy.towers if own.tower == tower)
        assert anatomy.selects(Selector(layers=(layers - 1, layers), tower=named))
        assert not anatomy.selects(Selector(layers=(layers, layers + 1), tower=named))
    assert anatomy.selects(Selector(layers=(0, 1))) == architecture.main


def test_a_range_of_layers_is_the_decoders_where_no_tower_is_named() -> None:
    anatomy = anatomy_of(saved_names("LLaVA"))
    first = Selector(layers=(0, 1))
    towers = {place.tower for place in anatomy.places if first.matches(place)}
    assert towers == {"decoder"}
    vision = Selector(layers=(0, 1), tower="vision")
    assert {place.tower for place in anatomy.places if vision.matches(place)} == {"vision"}


def test_what_stands_around_the_layers_belongs_to_a_tower() -> None:
    llava = anatomy_of(saved_names("LLaVA"))
    assert llava.place("vision_tower.pre_layrnorm.weight").tower == "vision"
    assert llava.place("language_model.lm_head.weight").tower == "decoder"
    assert llava.place("multi_modal_projector.linear_1.weight").tower is None
    qwen = anatomy_of(saved_names("Qwen2-VL"))
    assert qwen.place("model.embed_tokens.weight").tower == "decoder"
    assert qwen.place("visual.merger.mlp.0.weight").tower == "vision"
    bart = anatomy_of(saved_names("BART"))
    assert bart.place("model.shared.weight").tower is None
    assert bart.place("lm_head.weight").tower == "decoder"
    assert anatomy_of(saved_names("BERT")).place("cls.predictions.bias").tower == "encoder"


def test_experts_are_selected_by_their_number_and_count_as_mlp() -> None:
    anatomy = anatomy_of(saved_names("Mixtral"))
    half = Selector(component="expert", experts=(0, 2))
    chosen = {place.expert for place in anatomy.places if half.matches(place)}
    assert chosen == {0, 1}
    mlp = [place for place in anatomy.places if Selector(component="mlp").matches(place)]
    assert {place.component for place in mlp} == {"expert", "router"}
    fused = anatomy_of(saved_names("gpt-oss"))
    assert not fused.selects(half)
    assert fused.selects(Selector(component="expert"))


def test_layers_of_another_list_are_outside() -> None:
    """A few layers that predict further tokens stand beside the model's own."""
    beside = ["mtp.layers.0.mlp.up_proj.weight", "mtp.layers.0.input_layernorm.weight"]
    anatomy = anatomy_of([*saved_names("Llama"), *beside])
    assert anatomy.layers == 4
    assert {anatomy.place(name).layer for name in beside} == {None}


def test_a_model_without_layers_has_no_tower() -> None:
    anatomy = anatomy_of(["weight", "fc1.weight"])
    assert (anatomy.towers, anatomy.main, anatomy.layers) == ((), None, 0)
    assert not anatomy.selects(Selector(layers=(0, 1)))
