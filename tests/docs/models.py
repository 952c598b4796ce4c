"""Small models in place of those that a page names: folders that are not there, and the hub's."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from sparse import write_sparse_model

from evomerge.conformance import tiny_models
from evomerge.models.tensor_types import TensorSpec
from evomerge.recipe.source import Source
from tests.families import write_adapter, write_statistics
from tests.pipelines import write_pipeline

__all__ = ["Headers", "Models", "Small"]

LAYERS, HIDDEN, INNER, KV, VOCABULARY = 30, 576, 1536, 192, 49_152
PIPELINES = ("photos", "drawings")
"""What the pages call their diffusers pipelines."""
TOKENS = ["<|im_start|>", "<start>", "<pad>", *(f"t{number}" for number in range(3, VOCABULARY))]


class Models:
    """Gives each name a model, an adapter or statistics of its own, made when it is first met."""

    query: tuple[int, int]
    """Columns and rows of a query matrix."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def placed(self, data: Any) -> Any:
        """The same data, with a small model for each one that it names."""
        if isinstance(data, list):
            return [self.placed(value) for value in data]
        if not isinstance(data, dict):
            return data
        if isinstance(data.get("model"), str):
            return self._source(data)
        return {
            key: {name: self._named(value) for name, value in inner.items()}
            if key in ("sources", "inputs") and isinstance(inner, dict)
            else self.placed(inner)
            for key, inner in data.items()
        }

    def model(self, name: str) -> Path:
        """The folder of a model of this name."""
        folder = self.folder / "models" / _slug(name)
        if not folder.exists():
            self.write_model(folder, seed=sum(name.encode()))
        return folder

    def adapter(self, name: str) -> Path:
        """The folder of an adapter of this name, on any of the models."""
        folder = self.folder / "adapters" / _slug(name)
        if not folder.exists():
            wide, high = self.query
            draws = torch.Generator().manual_seed(sum(name.encode()))
            factors = torch.randn(2, wide, generator=draws), torch.randn(high, 2, generator=draws)
            write_adapter(folder, {"model.layers.1.self_attn.q_proj": factors})
        return folder

    def _measured(self) -> dict[str, dict[str, torch.Tensor]]:
        """Of a tensor or two, by kind."""
        wide = self.query[0]
        norm, gram = torch.ones(wide), torch.eye(wide)
        return {
            "fisher": {"model.norm.weight": norm},
            "second_moment": {"model.norm.weight": norm},
            "gram": {"model.layers.0.self_attn.q_proj.weight": gram},
            "coefficients": {"model.norm.weight": torch.ones(1)},
        }

    def write_model(self, folder: Path, *, seed: int) -> None:
        raise NotImplementedError

    def _named(self, value: Any) -> Any:
        return self._source({"model": value}) if isinstance(value, str) else self.placed(value)

    def _source(self, data: dict[str, Any]) -> dict[str, Any]:
        source = {"model": str(self.model(str(data["model"])))}
        if "adapter" in data:
            source["adapter"] = str(self.adapter(str(data["adapter"])))
        if "statistics" in data:
            folder = self.folder / "statistics" / _slug(str(data["statistics"]))
            if not folder.exists():
                write_statistics(folder, Source.model_validate(source), **self._measured())
            source["statistics"] = str(folder)
        return source


class Headers(Models):
    """Models of SmolLM2-135M's shape whose files are holes: enough for what reads headers only."""

    query = (HIDDEN, HIDDEN)

    def write_model(self, folder: Path, *, seed: int) -> None:
        if folder.name in PIPELINES:
            write_pipeline(folder, seed)
            return
        write_sparse_model(folder, _tensors(), seed=seed)
        config = json.loads((folder / "config.json").read_text())
        config |= {
            "architectures": ["LlamaForCausalLM"],
            "num_attention_heads": HIDDEN // 64,
            "num_key_value_heads": KV // 64,
            "max_position_embeddings": 8192,
        }
        (folder / "config.json").write_text(json.dumps(config))
        vocabulary = {token: number for number, token in enumerate(TOKENS)}
        tokenizer = {"model": {"vocab": vocabulary}, "added_tokens": []}
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
        (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ m }}"}))


class Small(Models):
    """Models that run: twelve layers, 64 numbers wide."""

    query = (64, 128)

    def write_model(self, folder: Path, *, seed: int) -> None:
        tiny_models.build(folder, seed=seed, layers=12)


def _tensors() -> list[TensorSpec]:
    """SmolLM2-135M's."""
    shapes = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN), "model.norm.weight": (HIDDEN,)}
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        shapes |= {
            f"{prefix}self_attn.q_proj.weight": (HIDDEN, HIDDEN),
            f"{prefix}self_attn.k_proj.weight": (KV, HIDDEN),
            f"{prefix}self_attn.v_proj.weight": (KV, HIDDEN),
            f"{prefix}self_attn.o_proj.weight": (HIDDEN, HIDDEN),
            f"{prefix}mlp.gate_proj.weight": (INNER, HIDDEN),
            f"{prefix}mlp.up_proj.weight": (INNER, HIDDEN),
            f"{prefix}mlp.down_proj.weight": (HIDDEN, INNER),
            f"{prefix}input_layernorm.weight": (HIDDEN,),
            f"{prefix}post_attention_layernorm.weight": (HIDDEN,),
        }
    return [TensorSpec(name, "BF16", shape) for name, shape in sorted(shapes.items())]


def _slug(name: str) -> str:
    return re.sub(r"[^\w.]+", "-", name).strip("-.")
