"""A tiny model that transformers loads, adapters on it, and what peft makes of the two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from transformers import AutoModelForCausalLM

from evomerge.conformance.tiny_models import build
from evomerge.merging.weights import MergedWeights
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe, Rule
from tests.families import write_adapter

__all__ = ["Loadable", "check_loads", "with_peft"]

MODULES = {
    "self_attn.q_proj": (64, 128),
    "self_attn.v_proj": (64, 64),
    "mlp.up_proj": (64, 96),
    "mlp.down_proj": (96, 64),
}


class Loadable:
    """A model, and three adapters on it of their own ranks, scales and modules."""

    def __init__(self, folder: Path) -> None:
        self.base = Source(model=str(build(folder / "base", seed=0)))
        draws = torch.Generator().manual_seed(0)
        for name, rank, parts, layers, config in (
            ("one", 2, list(MODULES), (0, 1), {"lora_alpha": 4}),
            ("two", 3, ["self_attn.q_proj", "mlp.up_proj"], (1,), {"use_rslora": True}),
            ("three", 2, ["self_attn.q_proj"], (0, 1), {"lora_alpha": 4}),
        ):
            factors = {}
            for layer in layers:
                for part in parts:
                    width, height = MODULES[part]
                    a = torch.randn(rank, width, generator=draws) * 0.3
                    b = torch.randn(height, rank, generator=draws) * 0.3
                    factors[f"model.layers.{layer}.{part}"] = (a, b)
            write_adapter(folder / name, factors, r=rank, **config)
        self.folder = folder

    def source(self, name: str) -> Source:
        return Source(model=self.base.model, adapter=str(self.folder / name))

    def recipe(self, method: str, *names: str, **options: Any) -> Merge:
        weights = dict(zip(names, (0.7, -0.6, 1.2), strict=False))
        return Merge(
            method=method,
            base="base",
            inputs={"base": self.base} | {name: self.source(name) for name in names},
            options=options,
            rules=(Rule(inputs={name: {"weight": w} for name, w in weights.items()}),),
        )


def with_peft(base: str, adapter: Path) -> dict[str, Tensor]:
    """The weights of the base with the adapter, as peft merges them."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    merged = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    return {name: tensor.detach() for name, tensor in merged.state_dict().items()}


def check_loads(recipe: Recipe, base: str, adapter: Path) -> None:
    found = with_peft(base, adapter)
    for name, tensor in MergedWeights(recipe, "float32").tensors():
        assert torch.allclose(found[name], tensor, atol=2e-6), name
