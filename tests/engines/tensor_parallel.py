"""Run in a process apart: an engine of several ranks, and what each of them holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
class Read:
    """Called in each rank: how many bytes of the parents its bank has handed out."""

    weights: MergedWeights

    def __call__(self, worker: Any) -> int:
        sources = tuple(dict.fromkeys(sources_of(self.weights.recipe)))
        return open_bank(sources, str(worker.device)).read_bytes


class Asked(VllmEngine):
    """An engine whose ranks can be asked."""

    def of_ranks(self, what: Any) -> list[Any]:
        """What each rank says."""
        said: list[Any] = self._llm.collective_rpc(what)
        return said


def spread(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of each of `recipes`: what an engine of so many `ranks` answers, where each rank merges its
    part and where it gets whole tensors; what its ranks hold; and the bytes that they read."""
    config = EngineConfig(
        kind="vllm",
        dtype="float32",
        enforce_eager=True,
        batch_size=8,
        kv_cache_gib=0.1,
        tensor_parallel=request["ranks"],
    )
    engine = Asked(config, Path(request["folder"]))
    prompts = request["prompts"]
    found = []
    for recipe in request["recipes"]:
        weights = MergedWeights(parse_recipe(recipe, origin="test", folder=Path()))
        said: dict[str, Any] = {}
        for how, source in (("parts", weights), ("whole", Whole(weights))):
            before = engine.of_ranks(Read(weights))
            engine.load(source)
            after = engine.of_ranks(Read(weights))
            answers = engine.generate(prompts, [Sampling(max_new_tokens=6)] * len(prompts))
            scores = engine.logprobs([(prompt, [65, 66]) for prompt in prompts])
            said[how] = {
                "texts": [answer.text for answer in answers],
                "scores": [score.total for score in scores],
                "held": engine.of_ranks("held"),
                "read": [b - a for a, b in zip(before, after, strict=True)],
            }
        found.append(said)
    engine.close()
    return found
