"""A recipe as a weight source: what is sent to an engine, kilobytes, is the recipe itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from evomerge.errors import SourceError
from evomerge.merging.apply import weights_of
from evomerge.merging.architecture import in_layer
from evomerge.merging.bank import open_bank
from evomerge.merging.dtypes import DTYPES, FLOATS, NAMES
from evomerge.merging.names import donor, stem, tensor_names
from evomerge.merging.shards import TensorSpec
from evomerge.recipe.tree import Recipe, sources_of

__all__ = ["MergedWeights"]


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
        weights = weights_of(self.recipe, bank)
        for spec in self.specs():
            name = spec.name
            if spec.dtype not in FLOATS:
                yield name, bank.copy(*stem(self.recipe, name))
                continue
            yield name, weights(name, DTYPES[spec.dtype])

    def specs(self) -> list[TensorSpec]:
        """What `tensors` will give, from headers alone.

        Raises:
            SourceError: a parent lacks a tensor.
        """
        bank = open_bank(tuple(dict.fromkeys(sources_of(self.recipe))))
        like = bank.inventory(donor(self.recipe)).tensors
        found = []
        for name in tensor_names(self.recipe, bank):
            source, stored = stem(self.recipe, name)
            inventory = bank.inventory(source)
            if stored not in inventory.tensors:
                raise SourceError(f"{inventory.folder}: has no tensor {stored!r}")
            info = inventory.tensors[stored]
            dtype = info.dtype
            if dtype in FLOATS:
                donors = like[name] if name in like else like[in_layer(name, 0)]
                dtype = NAMES[getattr(torch, self.dtype)] if self.dtype else donors.dtype
            found.append(TensorSpec(name, dtype, info.shape))
        return found
