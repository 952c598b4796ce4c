"""Stacks of tiny models: the pool that an engine is given, and what a path should say, by hand."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, AutoTokenizer

from evomerge.recipe.layer_path import LayerPath
from evomerge.recipe.tree import Scaling

__all__ = [
    "ByHand",
    "LayerPool",
    "build_family",
    "random_routes",
    "route_of",
    "spoken",
    "tiny_config",
]


def tiny_config(family: str, **keys: Any) -> Any:
    """Three layers, grouped queries, weights so large that a wrong step shows.

    The tokens are those of the tokenizer in `tiny`; smaller heads vLLM has not on every CPU, and a
    Qwen2 has none that its hidden size does not say.
    """
    sizes = {
        "vocab_size": 264,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 32,
        "max_position_embeddings": 512,
        "initializer_range": 0.3,
        "bos_token_id": 256,
        "eos_token_id": 257,
        "pad_token_id": 258,
    }
    whole = {"sliding_window": None} if family == "mistral" else {}
    return CONFIG_MAPPING[family](**sizes | whole | keys)


def build_family(folder: Path, family: str, *, like: Path, seed: int, **keys: Any) -> Path:
    """A model of `tiny_config`, with the tokenizer of the folder `like`."""
    torch.manual_seed(seed)
    AutoModelForCausalLM.from_config(tiny_config(family, **keys)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(like).save_pretrained(folder)
    return folder


def route_of(
    layers: Sequence[int], scales: Sequence[float] = (), scaling: Scaling = "stream"
) -> LayerPath:
    """A route; without scales every one is 1."""
    return LayerPath(layers=(*layers,), scales=(*scales,) or (1.0,) * len(layers), scaling=scaling)


def random_routes(count: int, *, layers: int, most: int, seed: int = 0) -> list[LayerPath]:
    """Paths of every kind: short and long, with repeats, scaled in either way or not at all."""
    draws = random.Random(seed)
    routes = []
    for number in range(count):
        hops = draws.randint(1, most)
        path = [draws.randrange(layers) for _ in range(hops)]
        some = (1.0, draws.uniform(0.5, 1.5), draws.uniform(0.5, 1.5)) if number % 3 else (1.0,)
        scales = [draws.choice(some) for _ in range(hops)]
        routes.append(route_of(path, scales, "mlp_output" if number % 3 == 2 else "stream"))
    return routes


@dataclass(frozen=True)
class LayerPool:
    """A weight source: one folder's layers, then the next one's; the rest is the first's."""

    folders: Sequence[Path]
    replace: dict[str, Tensor] = field(default_factory=dict)
    """By the pool's own names."""

    @property
    def digest(self) -> str:
        """Of the folders' names and of what is replaced."""
        edits = {name: tensor.tolist() for name, tensor in self.replace.items()}
        said = f"{[*map(str, self.folders)]} {edits}"
        return hashlib.sha256(said.encode()).hexdigest()

    def tensors(self, device: str = "cpu") -> Iterable[tuple[str, Tensor]]:
        """(name, tensor) of all layers, numbered through the folders."""
        number = 0
        for folder in self.folders:
            stored = load_file(folder / "model.safetensors")
            layers = 0
            for name, tensor in stored.items():
                if ".layers." in name:
                    layer, rest = name.removeprefix("model.layers.").split(".", 1)
                    layers = max(layers, int(layer) + 1)
                    renamed = f"model.layers.{number + int(layer)}.{rest}"
                    yield renamed, self.replace.get(renamed, tensor)
                elif number == 0:
                    yield name, self.replace.get(name, tensor)
            number += layers


class ByHand:
    """The same pool as plain transformers models, and a path over their layers as a loop."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.models: list[Any] = [
            AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
            for folder in folders
        ]
        self.layers: list[Any] = [layer for model in self.models for layer in model.model.layers]

    @torch.no_grad()
    def logits(self, layer_path: LayerPath, tokens: Tensor) -> Tensor:
        """Of all tokens (batch, length), without a cache."""
        body = self.models[0].model
        embedded = body.embed_tokens(tokens)
        places = body.rotary_emb(embedded, torch.arange(tokens.shape[1])[None])
        before, added = torch.zeros_like(embedded), embedded
        for number, scale in zip(layer_path.layers, layer_path.scales, strict=True):
            layer = self.layers[number]
            whole = layer_path.scaling == "stream"
            stream = (before + added) * scale if whole else before + added * scale
            attended = layer.self_attn(
                hidden_states=layer.input_layernorm(stream),
                position_embeddings=places,
                attention_mask=None,
            )[0]
            before = stream + attended
            added = layer.mlp(layer.post_attention_layernorm(before))
        logits: Tensor = self.models[0].lm_head(body.norm(before + added))
        return logits

    def logprob(
        self, layer_path: LayerPath, context: Sequence[int], continuation: Sequence[int]
    ) -> float:
        """The log-probability of a continuation, in nats."""
        whole = torch.tensor([[*context, *continuation]])
        likely = self.logits(layer_path, whole)[0].log_softmax(-1)
        at = range(len(context) - 1, whole.shape[1] - 1)
        return sum(float(likely[i, whole[0, i + 1]]) for i in at)

    def continuation(self, layer_path: LayerPath, prompt: Sequence[int], new: int) -> list[int]:
        """Greedy tokens, all computed anew for each; no end token ends them."""
        return self.continuations(layer_path, [prompt], new)[0]

    def continuations(
        self, layer_path: LayerPath, prompts: Sequence[Sequence[int]], new: int
    ) -> list[list[int]]:
        """Of several prompts at once: what pads a shorter one comes later, and is not seen."""
        answers: list[list[int]] = [[] for _ in prompts]
        for _ in range(new):
            rows = [[*prompt, *said] for prompt, said in zip(prompts, answers, strict=True)]
            width = max(map(len, rows))
            padded = torch.tensor([row + [0] * (width - len(row)) for row in rows])
            best = self.logits(layer_path, padded).argmax(-1)
            for row, said, likely in zip(rows, answers, best, strict=True):
                said.append(int(likely[len(row) - 1]))
        return answers


def spoken(tokens: Sequence[int], tokenizer: Any) -> str:
    """What an engine makes of tokens: the text up to the first end token."""
    end = tokenizer.eos_token_id
    said = tokens[: tokens.index(end)] if end in tokens else tokens
    return str(tokenizer.decode(said, skip_special_tokens=True))
