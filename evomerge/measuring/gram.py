"""Gram matrices of what goes into each linear layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from evomerge.measuring.hooks import Hooks
from evomerge.measuring.live import Live

__all__ = ["GramHooks"]


class GramHooks(Hooks):
    """G = X^T X over the number of rows of X, a row for each token that a layer saw.

    Of every `torch.nn.Linear` but a head that is tied to the embedding.
    """

    def __init__(self, live: Live) -> None:
        embedding = live.model.get_input_embeddings().weight
        self._layers = {
            f"{name}.weight": module
            for name, module in live.model.named_modules()
            if isinstance(module, torch.nn.Linear)
            and f"{name}.weight" in live.parameters
            and module.weight is not embedding
        }
        self._sums = {
            name: torch.zeros(layer.in_features, layer.in_features, device=live.device)
            for name, layer in self._layers.items()
        }
        self._rows = dict.fromkeys(self._layers, 0)

    def tensors(self) -> dict[str, Tensor]:
        """Weight's checkpoint name -> (n, n) for n inputs."""
        return {n: (total / max(self._rows[n], 1)).cpu() for n, total in self._sums.items()}

    def _hang(self) -> Iterator[RemovableHandle]:
        for name, layer in self._layers.items():
            yield layer.register_forward_pre_hook(self._take(name))

    def _take(self, name: str) -> Callable[[Any, tuple[Any, ...]], None]:
        def take(layer: Any, inputs: tuple[Any, ...]) -> None:
            rows = inputs[0].detach().reshape(-1, layer.in_features).float()
            self._sums[name].addmm_(rows.T, rows)
            self._rows[name] += len(rows)

        return take
