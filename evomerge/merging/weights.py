"""A recipe as a weight source: what is sent to an engine, kilobytes, is the recipe itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from evomerge.merging.apply import weights_of
from evomerge.merging.bank import Bank, open_bank
from evomerge.merging.box import Box
from evomerge.merging.dtypes import DTYPES
from evomerge.merging.merge_time import MERGE_TIME
from evomerge.models.blueprint import Blueprint, BlueprintTensor, blueprint
from evomerge.models.tensor_types import FLOATS
from evomerge.recipe.digest import digest
from evomerge.recipe.tree import Recipe, sources_of

__all__ = ["MergedWeights", "Unmade", "merged"]


@dataclass(frozen=True)
class Unmade:
    """A tensor that can be made, whole or in part."""

    name: str
    """In checkpoints."""
    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    make: Callable[[Box | None], Tensor]
    """A new contiguous tensor each time: a box of it, or all where that is None."""


@dataclass(frozen=True)
class MergedWeights:
    """Implements `WeightSource`: merges where it is iterated, from that process's bank.

    `dtype` is torch's name of the result's type (`bfloat16`); None keeps the donor's, tensor by
    tensor. Either way a weight is rounded once, so an engine scores the model as it would be saved.
    Buffers (tensors of integers or booleans) are copied (method cards, section 0.4, rule 7).
    """

    recipe: Recipe
    dtype: str | None = None

    @property
    def digest(self) -> str:
        """The recipe's; with the type, where that is not the donor's."""
        return digest(self.recipe) + (f" {self.dtype}" if self.dtype else "")

    def tensors(self, device: str = "cpu") -> Iterator[tuple[str, Tensor]]:
        """(checkpoint name, tensor) for every tensor of the merged model, sorted by name.

        `device`: where they are merged; the parents are kept there as far as they fit.

        Raises:
            SourceError: a parent lacks a tensor or holds one that is not finite.
            CandidateError: the merge is undefined for these parameters or left the finite numbers.
        """
        for tensor in self.unmade(device):
            yield tensor.name, tensor.make(None)

    def unmade(self, device: str = "cpu") -> Iterator[Unmade]:
        """The same tensors, for who wants a part of each: what is made of it has the same bits.

        `Unmade.make` raises what `tensors` does.
        """
        bank = open_bank(tuple(dict.fromkeys(sources_of(self.recipe))), device)
        for tensor in _unmade(blueprint(self.recipe, bank).stored_as(self.dtype), bank):
            yield replace(tensor, make=MERGE_TIME.counted(tensor.make))


def merged(plan: Blueprint, bank: Bank) -> Iterator[tuple[str, Tensor]]:
    """(checkpoint name, tensor) for every tensor of the blueprint, in its order and types.

    Each is made when it is asked for, on the bank's device.

    Raises:
        SourceError, CandidateError: as `MergedWeights.tensors`.
    """
    for tensor in _unmade(plan, bank):
        yield tensor.name, tensor.make(None)


def _unmade(plan: Blueprint, bank: Bank) -> Iterator[Unmade]:
    weights = weights_of(plan.recipe, bank)
    for tensor in plan.tensors:
        dtype = DTYPES[tensor.dtype]
        yield Unmade(
            tensor.name,
            tensor.shape,
            dtype,
            bank.device,
            partial(weights, tensor.name, dtype)
            if tensor.dtype in FLOATS
            else partial(_copy, bank, tensor),
        )


def _copy(bank: Bank, tensor: BlueprintTensor, box: Box | None) -> Tensor:
    whole = bank.copy(tensor.source, tensor.stored)
    return whole if box is None else box.of(whole)
