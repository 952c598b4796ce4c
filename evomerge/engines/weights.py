"""What an engine demands of the weights it is given: every tensor, in shape, finite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from evomerge.errors import CandidateError
from evomerge.models.blueprint import outline
from evomerge.models.headers import Headers
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Recipe, Stack

__all__ = ["Inspection", "checkpoint_shapes"]

_HEAD = "lm_head.weight"


def checkpoint_shapes(folder: Path, layers: int | None = None) -> dict[str, tuple[int, ...]]:
    """Checkpoint name -> shape, read from the headers of a model's folder.

    `layers`: of a model that has so many layers like the folder's first, and the rest as there.

    Raises:
        SourceError: no model that can be read. Pickled checkpoints are never opened: they run code.
    """
    model: Recipe = Source(model=str(folder.resolve()))
    if layers is not None:
        hops = (Hop(of="model", layer=0),) * layers
        model = Stack(inputs={"model": model}, embedding="model", head="model", hops=hops)
    return {tensor.name: tensor.shape for tensor in outline(model, Headers()).tensors}


class Inspection:
    """Lets good tensors through, remembers the first fault, and counts what arrived.

    Nothing is raised while tensors flow: a loader of vLLM that is left halfway mixes what it had
    got into the next candidate. `settle` comes at the end.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        dtype: torch.dtype,
        *,
        tied: bool,
    ) -> None:
        """`tied`: the output head may be left out, being the embedding."""
        self._shapes = shapes
        self._dtype = dtype
        self._missing = dict.fromkeys(name for name in shapes if not (tied and name == _HEAD))
        self._fault: Exception | None = None

    def passed(self, tensors: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
        """The tensors in which nothing is wrong."""
        source = iter(tensors)
        while True:
            try:
                name, tensor = next(source)
            except StopIteration:
                return
            except Exception as problem:  # noqa: BLE001 (raised again by `settle`)
                self._fault = self._fault or problem
                return
            self._missing.pop(name, None)
            fault, fitted = self._examine(name, tensor)
            if not fault:
                yield name, fitted
            elif self._fault is None:
                self._fault = CandidateError(fault)

    def settle(self) -> None:
        """Raise the first fault.

        Raises:
            CandidateError: a tensor is missing, unknown, not finite or of another shape.
            Exception: whatever the source of the tensors raised.
        """
        if self._fault is not None:
            raise self._fault
        if self._missing:
            first = next(iter(self._missing))
            raise CandidateError(f"the weights lack {len(self._missing)} tensors, first {first}")

    def _examine(self, name: str, tensor: Tensor) -> tuple[str, Tensor]:
        if name not in self._shapes:
            return f"tensor {name} is not one of the model's", tensor
        if tuple(tensor.shape) != self._shapes[name]:
            return (
                f"tensor {name} has shape {list(tensor.shape)}, the model's has "
                f"{list(self._shapes[name])}"
            ), tensor
        if not tensor.is_floating_point():
            return "", tensor
        if torch.finfo(self._dtype).max < torch.finfo(tensor.dtype).max:
            tensor = tensor.to(self._dtype)  # what overflows in the engine's dtype is not finite
        low, high = torch.aminmax(tensor)
        if not torch.isfinite(low) or not torch.isfinite(high):
            return f"tensor {name} is not finite as {self._dtype}", tensor
        return "", tensor
