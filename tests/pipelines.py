"""A tiny diffusers pipeline on disk, made by hand from what is known of the format: a U-Net and a
VAE of two stages, a text encoder, a tokenizer, a scheduler. `tests/models/test_diffusers.py` holds
names, shapes and settings to diffusers itself, where it is installed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

__all__ = [
    "CLIP",
    "UNET",
    "VAE",
    "clip_shapes",
    "drawn",
    "unet_shapes",
    "vae_shapes",
    "write_component",
    "write_pipeline",
]

Shapes = dict[str, tuple[int, ...]]
WIDE, NARROW, TIME = 8, 4, 16
UNET: dict[str, Any] = {
    "_class_name": "UNet2DConditionModel",
    "_diffusers_version": "0.30.0",
    "sample_size": 8,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": [NARROW, WIDE],
    "layers_per_block": 1,
    "norm_num_groups": 2,
    "cross_attention_dim": WIDE,
    "attention_head_dim": 2,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
}
VAE: dict[str, Any] = {
    "_class_name": "AutoencoderKL",
    "_diffusers_version": "0.30.0",
    "block_out_channels": [NARROW, WIDE],
    "layers_per_block": 1,
    "norm_num_groups": 2,
    "latent_channels": 4,
    "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D"],
    "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D"],
    "sample_size": 16,
    "scaling_factor": 0.18215,
}
CLIP: dict[str, Any] = {
    "architectures": ["CLIPTextModel"],
    "model_type": "clip_text_model",
    "vocab_size": 20,
    "hidden_size": WIDE,
    "intermediate_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "max_position_embeddings": 6,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "torch_dtype": "float32",
}
SCHEDULER = {
    "_class_name": "DDIMScheduler",
    "prediction_type": "epsilon",
    "steps_offset": 1,
    "clip_sample": False,
}
COMPONENTS = {
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def unet_shapes() -> Shapes:
    """Checkpoint name -> shape of the U-Net."""
    shapes = {
        **_layer("conv_in", NARROW, 4, 3, 3),
        **_layer("time_embedding.linear_1", TIME, NARROW),
        **_layer("time_embedding.linear_2", TIME, TIME),
        **_norm("conv_norm_out", NARROW),
        **_layer("conv_out", 4, NARROW, 3, 3),
        **_layer("down_blocks.0.downsamplers.0.conv", NARROW, NARROW, 3, 3),
        **_layer("up_blocks.0.upsamplers.0.conv", WIDE, WIDE, 3, 3),
    }
    sides = {
        "down_blocks.0.resnets.0": (NARROW, NARROW),
        "down_blocks.1.resnets.0": (NARROW, WIDE),
        "mid_block.resnets.0": (WIDE, WIDE),
        "mid_block.resnets.1": (WIDE, WIDE),
        "up_blocks.0.resnets.0": (2 * WIDE, WIDE),
        "up_blocks.0.resnets.1": (WIDE + NARROW, WIDE),
        "up_blocks.1.resnets.0": (WIDE + NARROW, NARROW),
        "up_blocks.1.resnets.1": (2 * NARROW, NARROW),
    }
    for name, (inward, outward) in sides.items():
        shapes |= _resnet(name, inward, outward) | _layer(f"{name}.time_emb_proj", outward, TIME)
    for name in ("down_blocks.1", "mid_block", "up_blocks.0"):
        for number in range(1 + (name == "up_blocks.0")):
            shapes |= _attentions(f"{name}.attentions.{number}")
    return shapes


def vae_shapes() -> Shapes:
    """Checkpoint name -> shape of the VAE."""
    shapes = {
        **_layer("encoder.conv_in", NARROW, 3, 3, 3),
        **_layer("encoder.conv_out", 8, WIDE, 3, 3),
        **_norm("encoder.conv_norm_out", WIDE),
        **_layer("encoder.down_blocks.0.downsamplers.0.conv", NARROW, NARROW, 3, 3),
        **_layer("decoder.up_blocks.0.upsamplers.0.conv", WIDE, WIDE, 3, 3),
        **_layer("decoder.conv_in", WIDE, 4, 3, 3),
        **_layer("decoder.conv_out", 3, NARROW, 3, 3),
        **_norm("decoder.conv_norm_out", NARROW),
        **_layer("quant_conv", 8, 8, 1, 1),
        **_layer("post_quant_conv", 4, 4, 1, 1),
    }
    sides = {
        "encoder.down_blocks.0.resnets.0": (NARROW, NARROW),
        "encoder.down_blocks.1.resnets.0": (NARROW, WIDE),
        "decoder.up_blocks.0.resnets.0": (WIDE, WIDE),
        "decoder.up_blocks.0.resnets.1": (WIDE, WIDE),
        "decoder.up_blocks.1.resnets.0": (WIDE, NARROW),
        "decoder.up_blocks.1.resnets.1": (NARROW, NARROW),
    }
    for half in ("encoder", "decoder"):
        sides |= {f"{half}.mid_block.resnets.{number}": (WIDE, WIDE) for number in range(2)}
        attention = f"{half}.mid_block.attentions.0"
        shapes |= _norm(f"{attention}.group_norm", WIDE)
        for module in ("to_q", "to_k", "to_v", "to_out.0"):
            shapes |= _layer(f"{attention}.{module}", WIDE, WIDE)
    for name, (inward, outward) in sides.items():
        shapes |= _resnet(name, inward, outward)
    return shapes


def clip_shapes(prefix: str = "text_model.") -> Shapes:
    """Checkpoint name -> shape of the text encoder."""
    embeddings = f"{prefix}embeddings"
    shapes = {
        f"{embeddings}.token_embedding.weight": (CLIP["vocab_size"], WIDE),
        f"{embeddings}.position_embedding.weight": (CLIP["max_position_embeddings"], WIDE),
        **_norm(f"{prefix}final_layer_norm", WIDE),
    }
    for number in range(CLIP["num_hidden_layers"]):
        layer = f"{prefix}encoder.layers.{number}"
        for module in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= _layer(f"{layer}.self_attn.{module}", WIDE, WIDE)
        shapes |= _layer(f"{layer}.mlp.fc1", 16, WIDE) | _layer(f"{layer}.mlp.fc2", WIDE, 16)
        shapes |= _norm(f"{layer}.layer_norm1", WIDE) | _norm(f"{layer}.layer_norm2", WIDE)
    return shapes


def drawn(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    """Random weights of these shapes."""
    draws = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=draws) * 0.2 for name, shape in shapes.items()}


def write_component(
    folder: Path,
    tensors: Mapping[str, Tensor],
    config: Mapping[str, Any],
    file: str = "diffusion_pytorch_model.safetensors",
) -> Path:
    """A component's folder: configuration and weights."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(tensors), folder / file, metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def write_pipeline(folder: Path, seed: int, **scheduler: Any) -> Path:
    """A whole pipeline with weights of this seed; `scheduler`: what its scheduler says."""
    write_component(folder / "unet", drawn(unet_shapes(), seed), UNET)
    write_component(folder / "vae", drawn(vae_shapes(), seed + 1000), VAE)
    clip = drawn(clip_shapes(), seed + 2000)
    write_component(folder / "text_encoder", clip, CLIP, "model.safetensors")
    for path, said in _files(scheduler):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(said if isinstance(said, str) else json.dumps(said))
    index = {"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.30.0"}
    absent = {"safety_checker": [None, None], "feature_extractor": [None, None]}
    text = json.dumps({**index, **COMPONENTS, **absent, "requires_safety_checker": False})
    (folder / "model_index.json").write_text(text)
    return folder


def _files(scheduler: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "scheduler/scheduler_config.json", {**SCHEDULER, **scheduler}
    letters = [*"abcdefgh", *(f"{letter}</w>" for letter in "abcdefgh")]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, "ab", "ab</w>"]
    yield "tokenizer/vocab.json", {word: number for number, word in enumerate(words)}
    yield "tokenizer/merges.txt", "#version: 0.2\na b\na b</w>\n"
    said = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 6}
    yield "tokenizer/tokenizer_config.json", said | {"pad_token": "<|endoftext|>"}


def _layer(name: str, *shape: int) -> Shapes:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _norm(name: str, width: int) -> Shapes:
    return _layer(name, width)


def _resnet(name: str, inward: int, outward: int) -> Shapes:
    shapes = _norm(f"{name}.norm1", inward) | _norm(f"{name}.norm2", outward)
    shapes |= _layer(f"{name}.conv1", outward, inward, 3, 3)
    shapes |= _layer(f"{name}.conv2", outward, outward, 3, 3)
    if inward != outward:
        shapes |= _layer(f"{name}.conv_shortcut", outward, inward, 1, 1)
    return shapes


def _attentions(name: str) -> Shapes:
    """A transformer within a block: attention to itself and to the text, and an MLP."""
    block = f"{name}.transformer_blocks.0"
    shapes = {
        **_norm(f"{name}.norm", WIDE),
        **_layer(f"{name}.proj_in", WIDE, WIDE, 1, 1),
        **_layer(f"{name}.proj_out", WIDE, WIDE, 1, 1),
        **_layer(f"{block}.ff.net.0.proj", 8 * WIDE, WIDE),
        **_layer(f"{block}.ff.net.2", WIDE, 4 * WIDE),
    }
    for attention in ("attn1", "attn2"):
        for module in ("to_q", "to_k", "to_v"):
            shapes[f"{block}.{attention}.{module}.weight"] = (WIDE, WIDE)
        shapes |= _layer(f"{block}.{attention}.to_out.0", WIDE, WIDE)
    for norm in ("norm1", "norm2", "norm3"):
        shapes |= _norm(f"{block}.{norm}", WIDE)
    return shapes
