"""Run in a process apart: an engine of several ranks, and what each of them holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evomerge.engines.config import EngineConfig
from evomerge.engines.vllm import VllmEngine
from evomerge.evaluators.live_model import Sampling
from evomerge.merging.bank import open_bank
from evomerge.merging.weights import MergedWeights
from evomerge.recipe.tree import sources_of
from evomerge.recipe.yaml import parse_recipe

__all__ = ["spread"]


@dataclass(frozen=True)
class Whole:
    """The same weights from a source that makes no parts: the loaders get whole tensors."""

    weights: MergedWeights

    @property
    def digest(self) -> str:
        return f"{self.weights.digest} whole"

    def tensors(self, device: str = "cpu") -> Iterable[tuple[str, Tensor]]:
        return self.weights.tensors(device)


@dataclass(frozen=True)
class Look:
    """Called in each rank: its parameters' digest and bytes, and what its bank has read."""

    weights: MergedWeights

    def __call__(self, worker: Any) -> dict[str, Any]:
        held, size = hashlib.sha256(), 0
        for name, tensor in sorted(worker.model_runner.get_model().state_dict().items()):
            held.update(name.encode())
            held.update(tensor.detach().contiguous().view(torch.uint8).numpy().tobytes())
            size += tensor.nbytes
        bank = open_bank(tuple(dict.fromkeys(sources_of(self.weights.recipe))), "cpu")
        return {"digest": held.hexdigest(), "bytes": size, "read": bank.read_bytes}


def spread(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of each of `recipes`: what an engine of so many `ranks` says, and of each rank what it holds,
    and what it has read where it merged its part and where it got whole tensors."""
    config = EngineConfig(
        kind="vllm",
        dtype="float32",
        enforce_eager=True,
        batch_size=8,
        kv_cache_gib=0.1,
        tensor_parallel=request["ranks"],
    )
    engine = VllmEngine(config, Path(request["folder"]))
    prompts = request["prompts"]
    found = []
    for recipe in request["recipes"]:
        weights = MergedWeights(parse_recipe(recipe, origin="test", folder=Path()))
        before = engine._llm.collective_rpc(Look(weights))
        engine.load(weights)
        own = engine._llm.collective_rpc(Look(weights))
        answers = engine.generate(prompts, [Sampling(max_new_tokens=6)] * len(prompts))
        scores = engine.logprobs([(prompt, [65, 66]) for prompt in prompts])
        engine.load(Whole(weights))
        whole = engine._llm.collective_rpc(Look(weights))
        found.append(
            {
                "texts": [answer.text for answer in answers],
                "scores": [score.total for score in scores],
                "held": engine.holds,
                "digests": [[a["digest"], b["digest"]] for a, b in zip(own, whole, strict=True)],
                "bytes": [a["bytes"] for a in own],
                "read": [a["read"] - b["read"] for a, b in zip(own, before, strict=True)],
                "read whole": [b["read"] - a["read"] for a, b in zip(own, whole, strict=True)],
            }
        )
    engine.close()
    return found
