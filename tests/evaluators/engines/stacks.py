"""Pools of tiny models, and what a path through one should say, run by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from evomerge.recipe.route import Route

__all__ = ["ByHand", "Pooled", "build_family", "route_of"]


def route_of(layers: Sequence[int], scales: Sequence[float] = (), scaling: Any = "stream") -> Route:
    return Route(layers=(*layers,), scales=(*scales,) or (1.0,) * len(layers), scaling=scaling)


@dataclass(frozen=True)
class Pooled:
    """A weight source: the layers of all folders, one after another; the rest from the first."""

    folders: tuple[Path, ...]
    replace: dict[str, Tensor] = field(default_factory=dict)

    def tensors(self, device: str = "cpu") -> Iterable[tuple[str, Tensor]]:
        count = 0
        for folder in self.folders:
            weights = load_file(folder / "model.safetensors")
            depth = int(json.loads((folder / "config.json").read_text())["num_hidden_layers"])
            for name, tensor in weights.items():
                if ".layers." not in name and count == 0:
                    yield name, tensor
            for layer in range(depth):
                own = f".layers.{layer}."
                for name, tensor in weights.items():
                    if own in name:
                        renamed = name.replace(own, f".layers.{count}.")
                        yield renamed, self.replace.get(renamed, tensor)
                count += 1


class ByHand:
    """Layers of transformers models, called one by one, without any cache."""

    def __init__(self, *folders: Path) -> None:
        models: list[Any] = [
            AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
            for folder in folders
        ]
        self._first = models[0]
        self._layers = [layer for model in models for layer in model.model.layers]
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folders[0])

    @torch.no_grad()
    def logits(self, route: Route, tokens: Sequence[int]) -> Tensor:
        """(tokens, vocabulary)."""
        body = self._first.model
        places = torch.arange(len(tokens))[None]
        added = body.embed_tokens(torch.tensor([tokens]))
        before = torch.zeros_like(added)
        turned = body.rotary_emb(added, places)
        for number, scale in zip(route.layers, route.scales, strict=True):
            layer = self._layers[number]
            stream = (
                (before + added) * scale if route.scaling == "stream" else before + added * scale
            )
            attended = layer.self_attn(
                layer.input_layernorm(stream), position_embeddings=turned, attention_mask=None
            )[0]
            before = stream + attended
            added = layer.mlp(layer.post_attention_layernorm(before))
        found: Tensor = self._first.lm_head(body.norm(before + added))[0]
        return found

    def continuation(self, route: Route, prompt: Sequence[int], new: int) -> list[int]:
        """Greedy tokens; no end token ends them."""
        tokens = [*prompt]
        for _ in range(new):
            tokens.append(int(self.logits(route, tokens)[-1].argmax()))
        return tokens[len(prompt) :]

    def text(self, tokens: Sequence[int]) -> str:
        """Up to the first end token."""
        end = self._tokenizer.eos_token_id
        said = tokens[: tokens.index(end)] if end in tokens else tokens
        return str(self._tokenizer.decode(said, skip_special_tokens=True))

    def logprob(self, route: Route, context: Sequence[int], continuation: Sequence[int]) -> float:
        whole = [*context, *continuation]
        likely = self.logits(route, whole).log_softmax(-1)
        return sum(float(likely[i - 1, whole[i]]) for i in range(len(context), len(whole)))


def build_family(folder: Path, family: str, like: Path, *, seed: int, **keys: Any) -> Path:
    """A tiny model of another family, with the tokenizer of `like`."""
    tokenizer = AutoTokenizer.from_pretrained(like)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    config = AutoConfig.for_model(
        family,
        **{
            "vocab_size": len(tokenizer) + 5,
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 32,
            "max_position_embeddings": 512,
            "tie_word_embeddings": family == "gemma",
            "initializer_range": 0.2,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
            **keys,
        },
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder
