"""Embedding and head rows moved to one vocabulary, token by token, as they are read."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor

from evomerge.merging.bank import Bank, VectorKey
from evomerge.merging.box import Box
from evomerge.merging.node import Weights
from evomerge.merging.vectors import Vector
from evomerge.models.blueprint import donor
from evomerge.models.inventory import Inventory
from evomerge.models.token_rows import Row, token_rows
from evomerge.models.vocabulary import has_token_rows, inputs_of, output_of
from evomerge.recipe.digest import canonical_json, plain
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe

__all__ = ["AlignedBank", "Alignment", "alignment_of"]

T = TypeVar("T")
Read = Callable[[Tensor], Tensor]
"""Rows of an input's matrix by index: each time a new float32 tensor."""


def alignment_of(merge: Merge, bank: Bank) -> Alignment:
    """The alignment of a merge with a tokenizer, found once a bank.

    Raises:
        SourceError, RecipeError: the vocabularies cannot be mapped.
    """
    key = canonical_json(_facts(merge))

    def align() -> Alignment:
        known = inputs_of(merge, bank.inventory)
        output = output_of(merge, known)
        rows = token_rows(merge, known, output)
        own = {name: torch.tensor(ids) for name, ids in rows.own.items()}
        return Alignment(key, output.rows, own, rows.shared)

    return bank.remember(("alignment", key), align)


def _facts(recipe: Recipe) -> Any:
    """What an alignment depends on: no method, rule or layer."""
    if isinstance(recipe, Source):
        return plain(recipe)
    if not isinstance(recipe, Merge):
        return _facts(recipe.inputs[recipe.donor])
    choice = recipe.tokenizer and recipe.tokenizer.model_dump(mode="json")
    inputs = {name: _facts(child) for name, child in recipe.inputs.items()}
    return {"base": recipe.base, "tokenizer": choice, "inputs": inputs}


@dataclass(frozen=True)
class Alignment:
    """Which row of which input every row of the output's matrices is, for each input."""

    key: Hashable
    """Names all of it: equal keys, equal rows."""
    size: int
    """Rows of the output's matrices, padding among them."""
    own: Mapping[str, Tensor]
    """Input -> (tokens,) its row of each token, -1 where it takes the shared one."""
    shared: Mapping[int, Sequence[Row]]
    """Token's id -> the rows whose mean every input takes that has none of its own."""

    @cached_property
    def shared_index(self) -> Tensor:
        """(tokens,) index of each token among the shared ones, -1 where it is not among them."""
        index = torch.full_like(next(iter(self.own.values())), -1)
        index[list(self.shared)] = torch.arange(len(self.shared))
        return index

    def shared_rows(self, readers: Mapping[str, Read]) -> Tensor:
        """(shared tokens, width) in float32; the inputs are added in the order of their names."""
        total: Tensor | None = None
        for name in sorted(readers):
            wanted = [
                (index, row)
                for index, rows in enumerate(self.shared.values())
                for owner, row in rows
                if owner == name
            ]
            pairs = torch.tensor(wanted, dtype=torch.long).view(-1, 2)
            rows_read = readers[name](pairs[:, 1])
            if total is None:
                total = rows_read.new_zeros((len(self.shared), *rows_read.shape[1:]))
            total.index_add_(0, pairs[:, 0].to(rows_read.device), rows_read)
        assert total is not None, "a merge has inputs"
        counts = total.new_tensor([max(1, len(rows)) for rows in self.shared.values()])
        return total.div_(counts.view(-1, *[1] * (total.ndim - 1)))

    def rows(self, name: str, read: Read, shared: Tensor) -> Tensor:
        """The output's matrix as input `name` has it: a new float32 tensor.

        Padding takes the mean of the tokens' rows.
        """
        own = self.own[name]
        lacks = own < 0
        aligned = read(own.clamp(min=0))
        aligned[lacks.to(aligned.device)] = shared[self.shared_index[lacks].to(aligned.device)]
        if self.size == len(own):
            return aligned
        out = aligned.new_empty((self.size, *aligned.shape[1:]))
        out[: len(own)] = aligned
        out[len(own) :] = aligned.mean(dim=0)
        return out


class AlignedBank(Bank):
    """A bank as one merge sees it: the same parents, their token rows aligned."""

    def __init__(
        self,
        bank: Bank,
        alignment: Alignment,
        merge: Merge,
        nested: Mapping[str, Weights],
    ) -> None:
        """`nested`: the tensors of those inputs that are no sources, by checkpoint name."""
        vars(self).update(vars(bank))  # what is open and known there is so here
        self._plain, self._alignment, self._nested = bank, alignment, nested
        self._inputs = merge.inputs
        self._by_source = {
            source: name for name, source in merge.inputs.items() if isinstance(source, Source)
        }

    def inventory(self, source: Source) -> Inventory:
        """The source's, with the shapes that its token rows have here."""
        return self.remember(("inventory", source), lambda: self._resized(source))

    def weights(self, source: Source, name: str, box: Box | None = None) -> Tensor:
        """The source's weights; aligned, in float32, where its rows are tokens."""
        if not self._is_aligned(source, name):
            return self._plain.weights(source, name, box)
        if box is not None:
            return box.of(self.weights(source, name))
        read = _reader(self._plain.weights(source, name))
        input_name = self._by_source[source]
        key = None if self._nested else ("rows", input_name, name)
        return self.remember(key, lambda: self._aligned(input_name, name, read))

    def vector(self, source: Source, base: Source, name: str, box: Box | None = None) -> Vector:
        """As the plain bank's, but of aligned rows never as factors."""
        if not self._is_aligned(source, name):
            return self._plain.vector(source, base, name, box)
        return None if source == base else self.weights(source, name, box)

    def cached_on_disk(
        self, what: Hashable, of: Sequence[VectorKey], compute: Callable[[], tuple[Tensor, ...]]
    ) -> tuple[Tensor, ...]:
        """As the plain bank's; on disk are only statistics of rows as they are in the files."""
        if any(self._is_aligned(source, name) for name, source, _ in of):
            return self.remember((what, *of), compute)
        return self._plain.cached_on_disk(what, of, compute)

    def remember(self, key: Hashable, compute: Callable[[], T]) -> T:
        """As the plain bank, under keys that no other alignment has."""
        return self._plain.remember(
            None if key is None else ("aligned", self._alignment.key, key), compute
        )

    def nested(self, input_name: str) -> Weights:
        """The tensors of an input that is no source, aligned."""

        def value(name: str, dtype: torch.dtype = torch.float32, box: Box | None = None) -> Tensor:
            if not self._is_aligned(donor(self._inputs[input_name]), name):
                return self._nested[input_name](name, torch.float32, box).to(dtype)
            whole = self._nested[input_name](name)
            aligned = self._aligned(input_name, name, _reader(whole)).to(dtype)
            return aligned if box is None else box.of(aligned)

        return value

    def _aligned(self, input_name: str, name: str, read: Read) -> Tensor:
        return self._alignment.rows(input_name, read, self._shared(name))

    def _resized(self, source: Source) -> Inventory:
        inventory, rows = self._plain.inventory(source), self._alignment.size
        tensors = {
            name: replace(info, shape=(rows, *info.shape[1:]))
            if has_token_rows(name, info, inventory.vocabulary_size)
            else info
            for name, info in inventory.tensors.items()
        }
        return replace(inventory, tensors=tensors)

    def _shared(self, name: str) -> Tensor:
        key = None if self._nested else ("shared rows", name)
        return self.remember(key, lambda: self._alignment.shared_rows(self._readers(name)))

    def _readers(self, name: str) -> dict[str, Read]:
        readers: dict[str, Read] = {}
        for input_name, recipe in self._inputs.items():
            if isinstance(recipe, Source):
                readers[input_name] = _reader(self._plain.weights(recipe, name))
            else:
                readers[input_name] = _reader(self._nested[input_name](name))
        return readers

    def _is_aligned(self, source: Source, name: str) -> bool:
        inventory = self._plain.inventory(source)
        info = inventory.tensors.get(name)
        return info is not None and has_token_rows(name, info, inventory.vocabulary_size)


def _reader(matrix: Tensor) -> Read:
    return lambda rows: matrix[rows.to(matrix.device)].float()
