"""Merged pipelines against diffusers itself, where it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import evomerge
from evomerge.models.anatomy import anatomy_of
from evomerge.recipe.yaml import parse_recipe
from tests.pipelines import UNET, VAE, unet_shapes, vae_shapes, write_pipeline


@pytest.fixture(scope="module")
def diffusers() -> Any:
    """Imported when it is needed: it takes seconds."""
    return pytest.importorskip("diffusers", reason="the reference for its own format")


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if not key.startswith("_")}


def test_the_pipelines_of_tests_are_diffusers_own(diffusers: Any) -> None:
    with torch.device("meta"):
        unet = diffusers.UNet2DConditionModel(**_settings(UNET))
        vae = diffusers.AutoencoderKL(**_settings(VAE))
    for model, shapes in ((unet, unet_shapes()), (vae, vae_shapes())):
        assert {name: tuple(own.shape) for name, own in model.state_dict().items()} == shapes


def test_a_merged_pipeline_loads_and_its_unet_computes_what_the_averaged_weights_do(
    diffusers: Any, tmp_path: Path
) -> None:
    folders = [write_pipeline(tmp_path / name, seed) for seed, name in enumerate("ab")]
    inputs = {folder.name: {"model": str(folder)} for folder in folders}
    half = {name: {"weight": 0.5} for name in inputs}
    recipe = {"kind": "merge", "method": "linear", "base": "a", "inputs": inputs}
    made = parse_recipe(recipe | {"rules": [{"where": {}, **half}]}, origin="r", folder=tmp_path)
    evomerge.merge(made, tmp_path / "out")
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(tmp_path / "out")
    by_hand = diffusers.UNet2DConditionModel(**_settings(UNET))
    file = "unet/diffusion_pytorch_model.safetensors"
    one, two = (load_file(folder / file) for folder in folders)
    by_hand.load_state_dict({name: (one[name] + two[name]) / 2 for name in one})
    draws = torch.Generator().manual_seed(0)
    image, text = (torch.randn(shape, generator=draws) for shape in ((1, 4, 8, 8), (1, 6, 8)))
    with torch.no_grad():
        ours, theirs = (unet(image, 7, text).sample for unet in (pipeline.unet, by_hand))
        drawn = pipeline("ab", height=16, width=16, num_inference_steps=2, output_type="np")
    torch.testing.assert_close(ours, theirs)
    assert drawn.images.shape == (1, 16, 16, 3)


def test_blocks_are_counted_in_the_order_in_which_they_run(diffusers: Any) -> None:
    """Flux: blocks with text and image apart, then those with both."""
    with torch.device("meta"):
        flux = diffusers.FluxTransformer2DModel(
            patch_size=1,
            in_channels=4,
            num_layers=2,
            num_single_layers=3,
            attention_head_dim=4,
            num_attention_heads=2,
            joint_attention_dim=8,
            pooled_projection_dim=8,
            axes_dims_rope=(0, 2, 2),
        )
    anatomy = anatomy_of(flux.state_dict())
    assert [(own.tower, own.layers) for own in anatomy.towers] == [("transformer", 5)]
    assert anatomy.place("transformer_blocks.1.attn.to_q.weight").layer == 1
    assert anatomy.place("single_transformer_blocks.0.attn.to_q.weight").layer == 2
    assert set(anatomy.components) == {"attention", "mlp", "norm", "embedding", "head"}
