"""What an operator may ask about a tensor, answered from the bank's cache and the recipe."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from evomerge.merging.bank import Bank, VectorKey
from evomerge.merging.draws import draw, keys, limit
from evomerge.merging.linalg import singular_triples
from evomerge.merging.vectors import Operands, Wholes
from evomerge.operators.base import Bernoulli, Gram, Scope, Score
from evomerge.operators.selection import Magnitudes, Threshold, count, global_thresholds
from evomerge.recipe.selector import Place

__all__ = ["BankContext", "TensorStatistics"]

T = TypeVar("T")


class TensorStatistics(Protocol):
    """What was measured of one input: a folder (`Statistics`), or values at hand."""

    def has(self, kind: str, name: str) -> bool:
        """Whether there are statistics of this kind for the tensor."""

    def tensor(self, kind: str, name: str) -> Tensor:
        """The statistics of the tensor, float32."""

    def norm(self, kind: str) -> float:
        """The 2-norm of all statistics of this kind, over the whole model."""


@dataclass(frozen=True, kw_only=True)
class BankContext:
    """Implements `TensorContext` for one tensor of one merge."""

    bank: Bank
    tensor: str
    place: Place
    """Where the tensor sits."""
    names: Sequence[str]
    layers: int
    """Of the tower that it sits in."""
    seed: int
    shape: tuple[int, ...]
    """Of the tensor."""
    whole: Callable[[], Operands]
    """Finds the vectors, all of the tensor."""
    keys: Sequence[VectorKey | None]
    """What names each vector in the bank; None for one that is itself a candidate's. An anchor's
    own weights are the first."""
    everywhere: Callable[[int], Iterator[tuple[str, Tensor]]]
    """All tensors of operand `i`'s task vector, sorted by name."""
    survey: Callable[[], Sequence[Mapping[str, float]]]
    statistics: Callable[[int], TensorStatistics]
    """What was measured of operand `i`."""

    @property
    def size(self) -> int:
        """Number of elements of the tensor."""
        return math.prod(self.shape)

    @cached_property
    def operands(self) -> Operands:
        """The vectors, found when something is first asked about them."""
        return self.whole()

    @cached_property
    def base(self) -> Tensor:
        """The base's weights, float32; not to be changed."""
        return self.operands.base()

    @property
    def surveyed(self) -> Sequence[Mapping[str, float]]:
        """What the operator's survey measured over the whole model, one mapping a round."""
        return self.survey()

    def gram(self) -> Gram:
        """(n, n) inner products of the vectors."""
        return self.memoise("gram", lambda: _gram(self.taus()))

    def row_gram(self) -> Gram:
        """(rows, n, n) inner products of the vectors, row by row."""
        return self.memoise("row_gram", lambda: _row_gram(self.taus()))

    def norm(self, i: int, p: float) -> float:
        """The p-norm of vector `i`."""
        return self._of(i, ("norm", p), lambda: _norm(self.taus()[i], p))

    def taus(self) -> Sequence[Tensor]:
        """The task vectors, float32, each made when it is first read."""
        return self._taus

    def memoise(self, what: Hashable, compute: Callable[[], T]) -> T:
        """The value, kept in the bank's memory cache unless a vector is a candidate's."""
        key = None if None in self.keys else (what, *self.keys)
        return self.bank.remember(key, compute)

    def memoise_on_disk(
        self, what: Hashable, compute: Callable[[], tuple[Tensor, ...]]
    ) -> tuple[Tensor, ...]:
        """The tensors, kept in memory and on disk, named by the vectors' content."""
        return self._cached_on_disk(what, self.keys, compute)

    def cut(self, i: int, density: float, scope: Scope = "tensor") -> Threshold:
        """The threshold that keeps a share `density` of vector `i`, in the tensor or the whole
        model.
        """
        if scope == "tensor":
            return self._of(i, ("cut", density), lambda: self._cut(i, density))
        cuts = self.bank.remember(
            _elsewhere("cuts", self.keys[i], density),
            lambda: global_thresholds(lambda: self.everywhere(i), density),
        )
        return cuts[self.tensor]

    def threshold(self, values: Tensor, k: int) -> Threshold:
        """The threshold that keeps the k largest magnitudes of any tensor."""
        return Threshold.of_count(values, k)

    def ranks(self, i: int) -> Tensor:
        """Rank of each magnitude of vector `i` in its row, int32, 0 for the smallest."""
        return self._of(i, "ranks", lambda: _ranks(self.taus()[i]))

    def draws(self, i: int) -> Tensor:
        """Random draws of vector `i`, int32, in the tensor's shape."""
        return self._drawn(i, self.size).view(self.shape)

    def uniform(self, i: int, count: int) -> Tensor:
        """(count,) random numbers from 0 to 1 of vector `i`, float32."""
        return (self._drawn(i, count).double() * 2.0**-32 + 0.5).float()

    def keys_of_draws(self) -> list[tuple[int, int]]:
        """A pair for each operand."""
        return [keys(self.seed, self.tensor, name) for name in self.names]

    def limit(self, chance: Bernoulli) -> int:
        """The largest draw that counts as a success with this probability."""
        return limit(chance.keep)

    def svd(self, i: int, rank: int) -> tuple[Tensor, Tensor, Tensor]:
        """At most `rank` leading singular triples (U, S, V^T) of vector `i`, kept on disk."""

        def leading() -> tuple[Tensor, Tensor, Tensor]:
            u, s, vt = singular_triples(self.taus()[i])
            return u[:, :rank].clone(), s[:rank].clone(), vt[:rank].clone()

        u, s, vt = self._cached_on_disk(("svd", rank), [self.keys[i]], leading)
        return u, s, vt

    def decompose(self, matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Singular triples of any matrix; nothing is kept."""
        return singular_triples(matrix)

    def has_statistic(self, i: int, kind: str) -> bool:
        """Whether input `i` has statistics of this kind for the tensor."""
        return self.statistics(i).has(kind, self.tensor)

    def statistic(self, i: int, kind: str) -> Tensor:
        """Statistics of input `i` for the tensor, float32."""
        return self.statistics(i).tensor(kind, self.tensor)

    def statistic_norm(self, i: int, kind: str) -> float:
        """The 2-norm of input `i`'s statistics of this kind, over the whole model."""
        return self.statistics(i).norm(kind)

    def keep_best(self, i: int, density: float, score: Score, scope: Scope = "tensor") -> Tensor:
        """Boolean mask of the best scores of vector `i`, in the tensor or the whole model."""

        def scored(name: str, tau: Tensor) -> Tensor:
            return score(tau, lambda kind: self.statistics(i).tensor(kind, name))

        scores = scored(self.tensor, self.taus()[i])
        if scope == "tensor":
            cut = Threshold.of(scores, density)
        else:
            cuts = self.bank.remember(
                _elsewhere("best", self.keys[i], density, score),
                lambda: global_thresholds(
                    lambda: ((name, scored(name, tau)) for name, tau in self.everywhere(i)), density
                ),
            )
            cut = cuts[self.tensor]
        return cut.mask(scores) & (scores > 0)

    def _cut(self, i: int, density: float) -> Threshold:
        return self._tables[i].cut(count(density, self.size), self.taus()[i])

    @cached_property
    def _tables(self) -> list[Magnitudes]:
        """Of every task vector; sorting takes one thread, so several are sorted at a time."""
        places = range(len(self.taus()))
        for i in places:
            self.taus()[i]  # made here, by all threads
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            return list(pool.map(self._table, places))

    def _table(self, i: int) -> Magnitudes:
        """Serves any density, and is kept where it is small."""
        values, up_to = self._cached_on_disk(
            "magnitudes", [self.keys[i]], lambda: self._magnitudes(i)
        )
        if len(values):
            return Magnitudes(values.cpu().numpy(), up_to.cpu().numpy())
        return Magnitudes.of(self.taus()[i])

    def _magnitudes(self, i: int) -> tuple[Tensor, Tensor]:
        """The table, empty where it would be as large as the tensor."""
        table = Magnitudes.of(self.taus()[i])
        some = slice(None) if table.compact else slice(0)
        return torch.from_numpy(table.values[some]), torch.from_numpy(table.up_to[some])

    def _of(self, i: int, what: Hashable, compute: Callable[[], T]) -> T:
        """What `compute` finds in vector `i`."""
        key = None if self.keys[i] is None else (what, self.keys[i])
        return self.bank.remember(key, compute)

    def _cached_on_disk(
        self,
        what: Hashable,
        of: Sequence[VectorKey | None],
        compute: Callable[[], tuple[Tensor, ...]],
    ) -> tuple[Tensor, ...]:
        known = [key for key in of if key is not None]
        return (
            self.bank.cached_on_disk(what, known, compute) if len(known) == len(of) else compute()
        )

    @cached_property
    def _taus(self) -> Sequence[Tensor]:
        return Wholes(self.operands)

    def _drawn(self, i: int, count: int) -> Tensor:
        index = torch.arange(count, dtype=torch.int32, device=self._device)
        return draw(index, *(index.new_tensor(key) for key in self.keys_of_draws()[i]))

    @property
    def _device(self) -> torch.device:
        return self.taus()[0].device


def _elsewhere(what: str, key: VectorKey | None, *more: Hashable) -> Hashable:
    """Names what is known of all tensors of the task vector that a tensor's key belongs to."""
    return None if key is None else (what, *more, *key[1:])


def _ranks(tau: Tensor) -> Tensor:
    """int32: half the size would do for most rows, but compiled code reads it one by one."""
    rows = tau.abs().reshape(1, -1) if tau.ndim == 0 else tau.abs()
    order = rows.argsort(dim=-1, stable=True)
    places = torch.arange(rows.shape[-1], dtype=torch.int32, device=tau.device)
    ranks = torch.empty_like(order, dtype=torch.int32)
    return ranks.scatter_(-1, order, places.expand_as(order)).view(tau.shape)


def _gram(vectors: Sequence[Tensor]) -> Gram:
    rows = [vector.flatten() for vector in vectors]
    gram = np.empty((len(rows), len(rows)))
    for i, row in enumerate(rows):
        for j, other in enumerate(rows[: i + 1]):
            gram[i, j] = gram[j, i] = _inner(row, other)
    return gram


def _row_gram(vectors: Sequence[Tensor]) -> Gram:
    rows = [v if v.ndim == 2 else v.reshape(1, -1) for v in vectors]
    gram = np.empty((rows[0].shape[0], len(rows), len(rows)))
    for i, row in enumerate(rows):
        for j, other in enumerate(rows[: i + 1]):
            products = torch.linalg.vecdot(row.double(), other.double()).cpu().numpy()
            gram[:, i, j] = gram[:, j, i] = products
    return gram


def _inner(vector: Tensor, other: Tensor) -> float:
    """An inner product accumulated in float64 by blocks, without a float64 copy of the whole."""
    blocks = zip(vector.split(1 << 16), other.split(1 << 16), strict=True)
    return float(sum(torch.dot(a.double(), b.double()) for a, b in blocks))


def _norm(vector: Tensor, p: float) -> float:
    blocks = [block.double() for block in vector.flatten().split(1 << 20)]
    norms = torch.stack([torch.linalg.vector_norm(block, p) for block in blocks])
    return float(torch.linalg.vector_norm(norms, p))
