"""Stacks of tiny models: the pool that an engine is given, and what a path should say, by hand."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from evomerge.recipe.route import Route
from evomerge.recipe.tree import Scaling

__all__ = ["ByHand", "Pool", "random_routes", "tiny_config"]


def tiny_config(family: str, **keys: Any) -> Any:
    """Three layers, grouped queries, weights so large that a wrong step shows."""
    sizes = {
        "vocab_size": 97,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "initializer_range": 0.3,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    whole = {"sliding_window": None} if family == "mistral" else {}
    return CONFIG_MAPPING[family](**sizes | whole | keys)


def random_routes(count: int, *, layers: int, most: int, seed: int = 0) -> list[Route]:
    """Paths of every kind: short and long, with repeats, scaled in either way or not at all."""
    draws = random.Random(seed)
    routes = []
    for number in range(count):
        hops = draws.randint(1, most)
        scaled = number % 3 > 0
        routes.append(
            Route(
                layers=tuple(draws.randrange(layers) for _ in range(hops)),
                scales=tuple(draws.uniform(0.5, 1.5) if scaled else 1.0 for _ in range(hops)),
                scaling="mlp_output" if number % 3 == 2 else "stream",
            )
        )
    return routes


@dataclass(frozen=True)
class Pool:
    """A weight source: one folder's layers, then the second's; the rest is the first's."""

    folders: Sequence[Path]

    def tensors(self, device: str = "cpu") -> Iterable[tuple[str, Tensor]]:
        number = 0
        for folder in self.folders:
            stored = load_file(folder / "model.safetensors")
            layers = 0
            for name, tensor in stored.items():
                if ".layers." in name:
                    layer, rest = name.removeprefix("model.layers.").split(".", 1)
                    layers = max(layers, int(layer) + 1)
                    yield f"model.layers.{number + int(layer)}.{rest}", tensor
                elif folder == self.folders[0]:
                    yield name, tensor
            number += layers


class ByHand:
    """The same pool as plain transformers models, and a path over their layers as a loop."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.models: list[Any] = [
            AutoModelForCausalLM.from_pretrained(one, dtype=torch.float32).eval() for one in folders
        ]
        self.layers: list[Any] = [layer for model in self.models for layer in model.model.layers]

    @torch.no_grad()
    def logits(self, route: Route, tokens: Tensor) -> Tensor:
        """Of all tokens (batch, length), without a cache."""
        body = self.models[0].model
        embedded = body.embed_tokens(tokens)
        places = body.rotary_emb(embedded, torch.arange(tokens.shape[1])[None])
        before, added = torch.zeros_like(embedded), embedded
        for number, scale in zip(route.layers, route.scales, strict=True):
            layer = self.layers[number]
            scaling: Scaling = route.scaling
            stream = (before + added) * scale if scaling == "stream" else before + added * scale
            attended = layer.self_attn(
                hidden_states=layer.input_layernorm(stream),
                position_embeddings=places,
                attention_mask=None,
            )[0]
            before = stream + attended
            added = layer.mlp(layer.post_attention_layernorm(before))
        return self.models[0].lm_head(body.norm(before + added))

    def logprob(self, route: Route, context: Sequence[int], continuation: Sequence[int]) -> float:
        whole = torch.tensor([[*context, *continuation]])
        likely = self.logits(route, whole)[0].log_softmax(-1)
        at = range(len(context) - 1, whole.shape[1] - 1)
        return sum(float(likely[i, whole[0, i + 1]]) for i in at)

    def continuation(self, route: Route, prompt: Sequence[int], new: int) -> list[int]:
        """Greedy tokens, all computed anew for each."""
        tokens = list(prompt)
        for _ in range(new):
            tokens.append(int(self.logits(route, torch.tensor([tokens]))[0, -1].argmax()))
        return tokens[len(prompt) :]
