"""A recipe as a weight source: what is sent to an engine, kilobytes, is the recipe itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from evomerge.merging.apply import weights_of
from evomerge.merging.architecture import in_layer
from evomerge.merging.bank import open_bank
from evomerge.merging.names import donor, tensor_names
from evomerge.recipe.tree import Recipe, sources_of

__all__ = ["MergedWeights"]

DTYPES = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32, "F64": torch.float64}
"""How safetensors spells the floating types."""


@dataclass(frozen=True)
class MergedWeights:
    """Implements `WeightSource`: merges where it is iterated, from that process's bank.

    `dtype` is torch's name of the result's type (`bfloat16`); None keeps the donor's, tensor by
    tensor. Either way a weight is rounded once, so an engine scores the model as it would be saved.
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
        stored = bank.inventory(donor(self.recipe)).tensors
        weights = weights_of(self.recipe, bank)
        for name in tensor_names(self.recipe, bank):
            like = stored[name] if name in stored else stored[in_layer(name, 0)]
            kept = getattr(torch, self.dtype) if self.dtype else DTYPES[like.dtype]
            yield name, weights(name, kept)
