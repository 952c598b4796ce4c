"""A recipe as a weight source: what is sent to an engine, kilobytes, is the recipe itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from evomerge.merging.apply import weights_of
from evomerge.merging.bank import Bank, open_bank
from evomerge.merging.dtypes import DTYPES
from evomerge.merging.merge_time import MERGE_TIME
from evomerge.models.blueprint import Blueprint, blueprint
from evomerge.models.tensor_types import FLOATS
from evomerge.recipe.tree import Recipe, sources_of

__all__ = ["MergedWeights", "merged"]


@dataclass(frozen=True)
class MergedWeights:
    """Implements `WeightSource`: merges where it is iterated, from that process's bank.

    `dtype` is torch's name of the result's type (`bfloat16`); None keeps the donor's, tensor by
    tensor. Either way a weight is rounded once, so an engine scores the model as it would be saved.
    Buffers (tensors of integers or booleans) are copied (method cards, section 0.4, rule 7).
    """

    recipe: Recipe
    dtype: str | None = None

    def tensors(self, device: str = "cpu") -> Iterator[tuple[str, Tensor]]:
        """(checkpoint name, tensor) for every tensor of the merged model, sorted by name.

        `device`: where they are merged; the parents are kept there as far as they fit.

        Raises:
            SourceError: a parent lacks a tensor or holds one that is not finite.
            CandidateError: the merge is undefined for these parameters or left the finite numbers.
        """
        bank = open_bank(tuple(dict.fromkeys(sources_of(self.recipe))), device)
        plan = blueprint(self.recipe, bank).stored_as(self.dtype)
        yield from MERGE_TIME.counted(merged(plan, bank))


def merged(plan: Blueprint, bank: Bank) -> Iterator[tuple[str, Tensor]]:
    """(checkpoint name, tensor) for every tensor of the blueprint, in its order and types.

    Each is made when it is asked for, on the bank's device.

    Raises:
        SourceError, CandidateError: as `MergedWeights.tensors`.
    """
    weights = weights_of(plan.recipe, bank)
    for tensor in plan.tensors:
        if tensor.dtype in FLOATS:
            yield tensor.name, weights(tensor.name, DTYPES[tensor.dtype])
        else:
            yield tensor.name, bank.copy(tensor.source, tensor.stored)
