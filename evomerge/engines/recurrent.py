"""The engine of language models some of whose layers keep a state: Mamba, Qwen3-Next and their kin.

A state cannot leave out what is padded, so prompts of one length run together, and each batch
computes its own beginning.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evomerge.engines.batches import batches
from evomerge.engines.config import EngineConfig
from evomerge.engines.continuation import Continuation, chosen
from evomerge.engines.family import configuration
from evomerge.engines.transformers import TransformersEngine, all_attend

__all__ = ["RecurrentEngine", "language_engine"]


def language_engine(config: EngineConfig, folder: Path) -> TransformersEngine:
    """The engine that suits the layers of the folder's model.

    Raises:
        SourceError: the folder has no language model that transformers runs.
    """
    about = configuration(folder, trust_remote_code=config.trust_remote_code)
    return (TransformersEngine if all_attend(about) else RecurrentEngine)(config, folder)


class RecurrentEngine(TransformersEngine):
    """A `TransformersEngine` with transformers' own cache for states, keys and values."""

    def _check_layers(self, about: Any, folder: Path) -> None:
        """Layers of any kind run."""

    def _start(self, prompts: Sequence[Sequence[int]]) -> int:
        return 0

    def _batches(self, tasks: list[Continuation]) -> Iterator[list[Continuation]]:
        for _, alike in itertools.groupby(tasks, key=lambda task: len(task.prompt)):
            yield from batches([*alike], self._rows, self._cells)

    def _continue(
        self, batch: list[Continuation], shared: int, between_steps: Callable[[], None]
    ) -> None:
        between_steps()
        newest = torch.tensor([task.prompt for task in batch], device=self._device)
        kept = None
        while True:
            given = self._model(input_ids=newest, use_cache=True, **{self._kept: kept})
            kept = getattr(given, self._kept)
            for task, token in zip(batch, chosen(batch, given.logits[:, -1]), strict=True):
                task.add(token)
            if all(task.done for task in batch):
                return
            between_steps()
            newest = torch.tensor([[task.tokens[-1]] for task in batch], device=self._device)

    def _run(
        self,
        module: Any,
        cache: Any,
        tokens: Tensor,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        **options: Any,
    ) -> Any:
        return module(input_ids=tokens.to(self._device), use_cache=False, **options)
