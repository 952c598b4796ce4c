"""A tiny model family on disk: a base, two full siblings and two LoRA adapters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from evomerge.models.fingerprint import fingerprint
from evomerge.recipe.source import Source

HIDDEN, LAYERS, VOCABULARY = 8, 3, 16


def tiny_tensors(seed: int, dtype: torch.dtype = torch.bfloat16) -> dict[str, Tensor]:
    """A Llama's tensor names with small random weights."""
    draws = torch.Generator().manual_seed(seed)

    def weight(*shape: int) -> Tensor:
        return (torch.randn(shape, generator=draws) * 0.1).to(dtype)

    tensors = {
        "model.embed_tokens.weight": weight(VOCABULARY, HIDDEN),
        "model.norm.weight": weight(HIDDEN),
    }
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            tensors[f"{prefix}self_attn.{name}.weight"] = weight(HIDDEN, HIDDEN)
        tensors[f"{prefix}mlp.up_proj.weight"] = weight(2 * HIDDEN, HIDDEN)
        tensors[f"{prefix}mlp.down_proj.weight"] = weight(HIDDEN, 2 * HIDDEN)
        tensors[f"{prefix}input_layernorm.weight"] = weight(HIDDEN)
    return tensors


def write_model(folder: Path, tensors: dict[str, Tensor], **config: object) -> Path:
    """A model folder as far as merging needs one."""
    folder.mkdir(parents=True)
    save_file(tensors, folder / "model.safetensors")
    values = {
        "model_type": "llama",
        "num_hidden_layers": LAYERS,
        "hidden_size": HIDDEN,
        "vocab_size": VOCABULARY,
        "tie_word_embeddings": True,
    }
    (folder / "config.json").write_text(json.dumps(values | config))
    tokenizer = {"model": {"vocab": {f"t{i}": i for i in range(VOCABULARY)}}, "added_tokens": []}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    return folder


def write_adapter(
    folder: Path, factors: dict[str, tuple[Tensor, Tensor]], **config: object
) -> Path:
    """A LoRA adapter as peft saves one: module -> (A, B)."""
    folder.mkdir(parents=True)
    tensors = {}
    for module, (a, b) in factors.items():
        tensors[f"base_model.model.{module}.lora_A.weight"] = a
        tensors[f"base_model.model.{module}.lora_B.weight"] = b
    save_file(tensors, folder / "adapter_model.safetensors")
    values = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps(values | config))
    return folder


def write_statistics(folder: Path, source: Source, **kinds: dict[str, Tensor]) -> Source:
    """A folder of statistics made by hand, a keyword a kind; the source with them."""
    folder.mkdir(parents=True)
    for kind, tensors in kinds.items():
        save_file(tensors, folder / f"{kind}.safetensors")
    about = {
        "format": 1,
        "model": source.model,
        "fingerprint": fingerprint(source),
        "measured": {kind: {} for kind in kinds},
    }
    (folder / "statistics.json").write_text(json.dumps(about))
    return source.model_copy(update={"statistics": str(folder)})


def drawn_statistics(seed: int, kind: str) -> dict[str, Tensor]:
    """Of all tensors of a tiny model, or of its linear layers for `gram`."""
    draws = torch.Generator().manual_seed(seed)
    found = {}
    for name, tensor in tiny_tensors(0).items():
        if kind == "coefficients":
            found[name] = torch.rand(2, generator=draws)
        elif kind != "gram":
            found[name] = torch.rand(tensor.shape, generator=draws) * 1e-10
        elif tensor.ndim == 2 and "layers" in name:
            inputs = torch.randn(30, tensor.shape[1], generator=draws)
            found[name] = inputs.T @ inputs / 30
    return found


class Family:
    """base, math and json (full), lora and other (adapters on base, of one rank and scale)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.base = Source(model=str(write_model(folder / "base", tiny_tensors(0))))
        self.math = Source(model=str(write_model(folder / "math", tiny_tensors(1))))
        self.json = Source(model=str(write_model(folder / "json", tiny_tensors(2))))
        draws = torch.Generator().manual_seed(3)
        self.a = torch.randn(2, HIDDEN, generator=draws)
        self.b = torch.randn(HIDDEN, 2, generator=draws)
        write_adapter(folder / "lora", {"model.layers.1.self_attn.q_proj": (self.a, self.b)})
        self.lora = Source(model=self.base.model, adapter=str(folder / "lora"))
        self.others = {
            "model.layers.0.mlp.up_proj": (
                torch.randn(2, HIDDEN, generator=draws),
                torch.randn(2 * HIDDEN, 2, generator=draws),
            ),
            "model.layers.1.self_attn.q_proj": (
                torch.randn(2, HIDDEN, generator=draws),
                torch.randn(HIDDEN, 2, generator=draws),
            ),
        }
        write_adapter(folder / "other-lora", self.others)
        self.other = Source(model=self.base.model, adapter=str(folder / "other-lora"))


@pytest.fixture
def family(tmp_path: Path) -> Family:
    return Family(tmp_path / "family")
