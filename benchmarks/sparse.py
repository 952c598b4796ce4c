"""Models whose files take no disk: headers, a few weights, and holes that read as zero."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import torch

from evomerge.merging.shards import plan
from evomerge.models.inventory import INDEX
from evomerge.models.tensor_types import TensorSpec

__all__ = ["llama", "write_sparse_model"]

BLOCK = 1 << 12
"""Weights at the start of a matrix that are not zero."""


def llama(*, hidden: int, inner: int, layers: int, vocabulary: int) -> list[TensorSpec]:
    """The tensors of a Llama with tied embeddings and as many KV heads as heads, in bfloat16."""

    def specs() -> Iterator[tuple[str, tuple[int, ...]]]:
        yield "model.embed_tokens.weight", (vocabulary, hidden)
        for layer in range(layers):
            prefix = f"model.layers.{layer}."
            for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
                yield f"{prefix}self_attn.{name}.weight", (hidden, hidden)
            yield f"{prefix}mlp.gate_proj.weight", (inner, hidden)
            yield f"{prefix}mlp.up_proj.weight", (inner, hidden)
            yield f"{prefix}mlp.down_proj.weight", (hidden, inner)
            yield f"{prefix}input_layernorm.weight", (hidden,)
            yield f"{prefix}post_attention_layernorm.weight", (hidden,)
        yield "model.norm.weight", (hidden,)

    return [TensorSpec(name, "BF16", shape) for name, shape in sorted(specs())]


def write_sparse_model(
    folder: Path, specs: list[TensorSpec], *, seed: int | None = None, shard_bytes: int = 2 << 30
) -> Path:
    """A model folder. With a seed every matrix begins with a block of weights that are not zero."""
    folder.mkdir(parents=True)
    draws = torch.Generator().manual_seed(seed or 0)
    shards = plan(specs, shard_bytes)
    for shard in shards:
        with (folder / shard.file).open("wb") as file:
            file.write(shard.header)
            for spec in shard.tensors if seed is not None else ():
                if len(spec.shape) > 1:
                    file.seek(len(shard.header) + shard.offsets[spec.name])
                    block = torch.randn(BLOCK, generator=draws).mul_(0.02).bfloat16()
                    file.write(block.view(torch.int16).numpy().tobytes())
        os.truncate(folder / shard.file, len(shard.header) + shard.size)
    if len(shards) > 1:
        weight_map = {tensor.name: shard.file for shard in shards for tensor in shard.tensors}
        (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))
    shapes = {spec.name: spec.shape for spec in specs}
    vocabulary, hidden = shapes["model.embed_tokens.weight"]
    config = {
        "model_type": "llama",
        "num_hidden_layers": sum(name.endswith("up_proj.weight") for name in shapes),
        "hidden_size": hidden,
        "intermediate_size": shapes["model.layers.0.mlp.up_proj.weight"][0],
        "vocab_size": vocabulary,
        "tie_word_embeddings": True,
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder
