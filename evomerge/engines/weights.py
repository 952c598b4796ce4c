"""What an engine demands of the weights it is given: every tensor, in shape, finite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from evomerge.engines.promised import Promised
from evomerge.errors import CandidateError
from evomerge.merging.box import Box
from evomerge.merging.weights import Unmade
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
            fault, fitted = self._misplaced(name, tensor.shape), tensor
            if not fault:
                fault, fitted = self._examine(name, tensor)
            if not fault:
                yield name, fitted
            elif self._fault is None:
                self._fault = CandidateError(fault)

    def promised(self, tensors: Iterable[Unmade]) -> Iterator[tuple[str, Tensor]]:
        """The tensors, each made and examined when somebody reads it, and no more of it than that.

        Where something is wrong with one, zeros are read.
        """
        try:
            for tensor in tensors:
                if fault := self._misplaced(tensor.name, tensor.shape):
                    self._fault = self._fault or CandidateError(fault)
                    continue
                make = partial(self._made, tensor)
                yield tensor.name, Promised.of(make, tensor.shape, tensor.dtype, tensor.device)
        except Exception as problem:  # noqa: BLE001 (raised again by `settle`)
            self._fault = self._fault or problem

    def _made(self, tensor: Unmade, box: Box | None) -> Tensor:
        try:
            made = tensor.make(box)
            fault, fitted = self._examine(tensor.name, made)
            if not fault:
                return fitted
            self._fault = self._fault or CandidateError(fault)
        except Exception as problem:  # noqa: BLE001 (raised again by `settle`)
            self._fault = self._fault or problem
        shape = tensor.shape if box is None else [stop - start for start, stop in box.ranges]
        return torch.zeros(shape, dtype=tensor.dtype, device=tensor.device)

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

    def _misplaced(self, name: str, shape: Sequence[int]) -> str:
        """What is wrong with a tensor before its numbers are read; "" where nothing is."""
        self._missing.pop(name, None)
        if name not in self._shapes:
            return f"tensor {name} is not one of the model's"
        if tuple(shape) != self._shapes[name]:
            return (
                f"tensor {name} has shape {list(shape)}, the model's has {list(self._shapes[name])}"
            )
        return ""

    def _examine(self, name: str, tensor: Tensor) -> tuple[str, Tensor]:
        if not tensor.is_floating_point():
            return "", tensor
        if torch.finfo(self._dtype).max < torch.finfo(tensor.dtype).max:
            tensor = tensor.to(self._dtype)  # what overflows in the engine's dtype is not finite
        low, high = torch.aminmax(tensor)
        if not torch.isfinite(low) or not torch.isfinite(high):
            return f"tensor {name} is not finite as {self._dtype}", tensor
        return "", tensor
