"""A recipe as a weight source: what is sent to an engine, kilobytes, is the recipe itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from evomerge.errors import SourceError
from evomerge.merging.apply import weights_of
from evomerge.merging.bank import open_bank
from evomerge.merging.dtypes import DTYPES, FLOATS, NAMES
from evomerge.merging.shards import TensorSpec
from evomerge.models.architecture import in_layer
from evomerge.models.headers import Headers
from evomerge.models.outline import donor, source_of_tensor, tensor_names
from evomerge.models.vocabulary import has_token_rows, is_mapped, vocabulary_of
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
        for spec in self.specs(bank):
            name = spec.name
            if spec.dtype not in FLOATS:
                yield name, bank.copy(*source_of_tensor(self.recipe, name))
                continue
            yield name, weights(name, DTYPES[spec.dtype])

    def specs(self, headers: Headers | None = None) -> list[TensorSpec]:
        """What `tensors` will give, from headers alone.

        Raises:
            SourceError: a parent lacks a tensor.
        """
        headers = headers or Headers()
        like = headers.inventory(donor(self.recipe)).tensors
        mapped = is_mapped(self.recipe)
        rows = vocabulary_of(self.recipe, headers.inventory).rows if mapped else 0
        found = []
        for name in tensor_names(self.recipe, headers):
            source, stored = source_of_tensor(self.recipe, name)
            inventory = headers.inventory(source)
            if stored not in inventory.tensors:
                raise SourceError(f"{inventory.folder}: has no tensor {stored!r}")
            info = inventory.tensors[stored]
            dtype = info.dtype
            if dtype in FLOATS:
                donors = like[name] if name in like else like[in_layer(name, 0)]
                dtype = NAMES[getattr(torch, self.dtype)] if self.dtype else donors.dtype
            shape = info.shape
            if mapped and has_token_rows(stored, info, inventory.vocabulary_size):
                shape = (rows, *shape[1:])
            found.append(TensorSpec(name, dtype, shape))
        return found
