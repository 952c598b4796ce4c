"""Blocks are layers: their towers, their order, and what is no block."""

from __future__ import annotations

import pytest

from evomerge.models.anatomy import anatomy_of
from evomerge.models.blocks import block_parts_of
from evomerge.recipe.selector import Selector
from tests.pipelines import clip_shapes, unet_shapes, vae_shapes


def test_the_blocks_of_a_unet_are_counted_as_they_run() -> None:
    anatomy = anatomy_of(unet_shapes())
    assert [(own.tower, own.layers) for own in anatomy.towers] == [("unet", 5)]
    blocks = ["down_blocks.0", "down_blocks.1", "mid_block", "up_blocks.0", "up_blocks.1"]
    for name in unet_shapes():
        block = next((b for b in blocks if name.startswith(f"{b}.")), None)
        assert anatomy.place(name).layer == (blocks.index(block) if block else None)
        assert anatomy.place(name).tower == "unet"
    assert anatomy.main is not None


def test_a_vae_runs_its_encoder_first() -> None:
    anatomy = anatomy_of(vae_shapes())
    assert [(own.tower, own.layers) for own in anatomy.towers] == [("vae", 6)]
    order = ["encoder.mid_block", "decoder.mid_block", "decoder.up_blocks.1"]
    layers = [anatomy.place(f"{name}.resnets.0.conv1.weight").layer for name in order]
    assert layers == [2, 3, 5]


def test_components_of_blocks() -> None:
    block = "down_blocks.1.attentions.0.transformer_blocks.0"
    components = {
        f"{block}.attn1.to_q.weight": "attention",
        f"{block}.attn2.to_out.0.bias": "attention",
        f"{block}.ff.net.0.proj.weight": "mlp",
        f"{block}.norm2.weight": "norm",
        "down_blocks.1.attentions.0.proj_out.weight": None,
        "down_blocks.1.resnets.0.conv1.weight": None,
        "down_blocks.1.resnets.0.time_emb_proj.weight": None,
        "encoder.mid_block.attentions.0.to_q.weight": "attention",
        "encoder.mid_block.attentions.0.group_norm.bias": "norm",
        "time_embedding.linear_1.weight": "embedding",
        "conv_norm_out.weight": "norm",
        "conv_in.weight": None,
    }
    assert {name: block_parts_of(name).component for name in components} == components


def test_a_list_within_another_module_counts_no_layers() -> None:
    """The refiner of tokens of a video model, and the exits of a ControlNet."""
    blocks = [f"transformer_blocks.{n}.{m}.weight" for n in range(2) for m in ("attn.a", "ff.b")]
    refiner = "context_embedder.token_refiner.refiner_blocks.0.attn.to_q.weight"
    single = "single_transformer_blocks.0.attn.to_q.weight"
    exits = "controlnet_down_blocks.0.weight"
    anatomy = anatomy_of([*blocks, refiner, single, exits])
    assert [(own.tower, own.layers) for own in anatomy.towers] == [("transformer", 3)]
    assert [anatomy.place(name).layer for name in (refiner, single, exits)] == [None, 2, None]


@pytest.mark.parametrize("name", ["model.layers.0.mlp.up_proj.weight", "9.a", "mid_block", "a..b"])
def test_names_without_blocks(name: str) -> None:
    assert block_parts_of(name).layer is None


def test_layers_win_where_they_hold_more() -> None:
    names = [f"layers.{n}.mlp.{m}.weight" for n in range(2) for m in "ab"]
    assert anatomy_of([*names, "mid_block.a.weight"]).towers[0].tower == "decoder"


def test_each_component_of_a_pipeline_is_a_tower() -> None:
    parts = {"text_encoder": clip_shapes(), "unet": unet_shapes(), "vae": vae_shapes()}
    names = [f"{part}/{name}" for part, shapes in parts.items() for name in shapes]
    anatomy = anatomy_of([*names, "safety_checker/concept_embeds"])
    towers = {own.tower: own.layers for own in anatomy.towers}
    assert towers == {"safety_checker": 0, "text_encoder": 3, "unet": 5, "vae": 6}
    assert anatomy.main is None
    first = Selector(layers=(0, 1), tower="text_encoder", component="attention")
    chosen = [place.name for place in anatomy.places if first.matches(place)]
    assert len(chosen) == 8
    assert all(name.startswith("text_encoder/text_model.encoder.layers.0.") for name in chosen)
    assert not anatomy.selects(Selector(layers=(0, 1)))
    assert anatomy.selects(Selector(tower="safety_checker"))
    assert anatomy.place("elsewhere/unet.conv").tower is None


def test_one_component_alone_is_the_main_tower() -> None:
    anatomy = anatomy_of(f"unet/{name}" for name in unet_shapes())
    assert anatomy.layers == 5
    assert anatomy.selects(Selector(layers=(4, 5)))


def test_layers_of_a_component_are_those_of_its_main_tower() -> None:
    """A text encoder that sees pictures, too."""
    text = [f"text_encoder/model.layers.{n}.mlp.up_proj.weight" for n in range(2)]
    vision = "text_encoder/visual.blocks.0.mlp.fc1.weight"
    anatomy = anatomy_of([*text, vision, *(f"unet/{name}" for name in unet_shapes())])
    assert anatomy.place(text[1])[:2] == (1, "mlp")
    assert anatomy.place(vision).layer is None
    assert {anatomy.place(name).tower for name in (*text, vision)} == {"text_encoder"}
