"""What an operator may ask about a tensor, answered from the bank's cache and the recipe."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from evomerge.merging.architecture import place
from evomerge.merging.bank import Bank
from evomerge.merging.draws import draw, keys, limit
from evomerge.merging.linalg import singular_triples
from evomerge.merging.operators.base import Chance, Gram, Scope
from evomerge.merging.selection import Magnitudes, Threshold, count, global_thresholds
from evomerge.merging.vectors import Operands
from evomerge.recipe.selector import Place

__all__ = ["TensorLook"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class TensorLook:
    """Implements `Look` for one tensor of one merge."""

    bank: Bank
    tensor: str
    names: Sequence[str]
    layers: int
    seed: int
    operands: Operands
    keys: Sequence[Hashable]
    """What names each vector in the bank; None for one that is itself a candidate's. An anchor's
    own weights are the first."""
    everywhere: Callable[[int], Iterator[tuple[str, Tensor]]]
    """All tensors of operand `i`'s task vector, sorted by name."""
    survey: Callable[[], Sequence[Mapping[str, float]]]

    @property
    def place(self) -> Place:
        return place(self.tensor)

    @property
    def size(self) -> int:
        return self.operands.shape.numel()

    @cached_property
    def base(self) -> Tensor:
        return self.operands.base()

    @property
    def surveyed(self) -> Sequence[Mapping[str, float]]:
        return self.survey()

    def gram(self) -> Gram:
        return self.once("gram", lambda: _gram(self.taus()))

    def row_gram(self) -> Gram:
        return self.once("row_gram", lambda: _row_gram(self.taus()))

    def norm(self, i: int, p: float) -> float:
        return self._of(i, ("norm", p), lambda: _norm(self.taus()[i], p))

    def taus(self) -> Sequence[Tensor]:
        return self._taus

    def once(self, what: Hashable, compute: Callable[[], T]) -> T:
        key = None if None in self.keys else (what, *self.keys)
        return self.bank.remember(key, compute)

    def cut(self, i: int, density: float, scope: Scope = "tensor") -> Threshold:
        if scope == "tensor":
            return self._of(i, ("cut", density), lambda: self._cut(i, density))
        cuts = self.bank.remember(
            _elsewhere(self.keys[i], density),
            lambda: global_thresholds(lambda: self.everywhere(i), density),
        )
        return cuts[self.tensor]

    def threshold(self, values: Tensor, k: int) -> Threshold:
        return Threshold.of_count(values, k)

    def ranks(self, i: int) -> Tensor:
        return self._of(i, "ranks", lambda: _ranks(self.taus()[i]))

    def draws(self, i: int) -> Tensor:
        index = torch.arange(self.size, dtype=torch.int32, device=self._device)
        key = [index.new_tensor(one) for one in self.keys_of_draws()[i]]
        return draw(index, *key).view(self.operands.shape)

    def keys_of_draws(self) -> list[tuple[int, int]]:
        """A pair for each operand."""
        return [keys(self.seed, self.tensor, name) for name in self.names]

    def limit(self, chance: Chance) -> int:
        return limit(chance.keep)

    def svd(self, i: int, rank: int) -> tuple[Tensor, Tensor, Tensor]:
        def leading() -> tuple[Tensor, Tensor, Tensor]:
            u, s, vt = singular_triples(self.taus()[i])
            return u[:, :rank].clone(), s[:rank].clone(), vt[:rank].clone()

        return self._of(i, ("svd", rank), leading)

    def decompose(self, matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return singular_triples(matrix)

    def _cut(self, i: int, density: float) -> Threshold:
        """From a table of magnitudes, which any density can use and is kept where it is small."""
        found = self._of(i, "magnitudes", lambda: self._magnitudes(i))
        table = found or Magnitudes.of(self.taus()[i])
        return table.cut(count(density, self.size), self.taus()[i])

    def _magnitudes(self, i: int) -> Magnitudes | None:
        found = Magnitudes.of(self.taus()[i])
        return found if found.compact else None

    def _of(self, i: int, what: Hashable, compute: Callable[[], T]) -> T:
        """What `compute` finds in vector `i`."""
        key = None if self.keys[i] is None else (what, self.keys[i])
        return self.bank.remember(key, compute)

    @cached_property
    def _taus(self) -> list[Tensor]:
        return self.operands.all()

    @property
    def _device(self) -> torch.device:
        return self.taus()[0].device


def _elsewhere(key: Hashable, density: float) -> Hashable:
    """Names the cuts in all tensors of the task vector that a tensor's key belongs to."""
    return ("cuts", density, *key[1:]) if isinstance(key, tuple) else None


def _ranks(tau: Tensor) -> Tensor:
    rows = tau.abs().reshape(1, -1) if tau.ndim == 0 else tau.abs()
    ranks = rows.argsort(dim=-1, stable=True).argsort(dim=-1).view(tau.shape)
    return ranks.to(torch.int32 if tau.ndim and tau.shape[-1] > 1 << 15 else torch.int16)


def _gram(vectors: Sequence[Tensor]) -> Gram:
    rows = [vector.flatten() for vector in vectors]
    gram = np.empty((len(rows), len(rows)))
    for i, one in enumerate(rows):
        for j, other in enumerate(rows[: i + 1]):
            gram[i, j] = gram[j, i] = _inner(one, other)
    return gram


def _row_gram(vectors: Sequence[Tensor]) -> Gram:
    rows = [v if v.ndim == 2 else v.reshape(1, -1) for v in vectors]
    gram = np.empty((rows[0].shape[0], len(rows), len(rows)))
    for i, one in enumerate(rows):
        for j, other in enumerate(rows[: i + 1]):
            found = torch.linalg.vecdot(one.double(), other.double()).cpu().numpy()
            gram[:, i, j] = gram[:, j, i] = found
    return gram


def _inner(one: Tensor, other: Tensor) -> float:
    """An inner product accumulated in float64 by blocks, without a float64 copy of the whole."""
    blocks = zip(one.split(1 << 16), other.split(1 << 16), strict=True)
    return float(sum(torch.dot(a.double(), b.double()) for a, b in blocks))


def _norm(vector: Tensor, p: float) -> float:
    blocks = [block.double() for block in vector.flatten().split(1 << 20)]
    norms = torch.stack([torch.linalg.vector_norm(block, p) for block in blocks])
    return float(torch.linalg.vector_norm(norms, p))
