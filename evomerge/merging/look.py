"""What an operator may ask about a tensor, answered from the bank's cache and the recipe."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from evomerge.merging.architecture import place
from evomerge.merging.bank import Bank
from evomerge.merging.linalg import singular_triples
from evomerge.merging.operators.base import Gram, Scope, Score
from evomerge.merging.selection import Threshold, generator, global_thresholds
from evomerge.merging.statistics import Statistics
from evomerge.recipe.selector import Place

__all__ = ["TensorLook"]


@dataclass(frozen=True, kw_only=True)
class TensorLook:
    """Implements `Look` for one tensor of one merge, or for some rows of it."""

    bank: Bank
    tensor: str
    names: Sequence[str]
    layers: int
    size: int
    seed: int
    whole: Callable[[int], Tensor]
    """Weights or task vector `i`, all of the tensor; an anchor's own weights are the first."""
    keys: Sequence[Hashable]
    """What names each vector in the bank; None for one that is itself a candidate's."""
    everywhere: Callable[[int], Iterator[tuple[str, Tensor]]]
    """All tensors of operand `i`'s task vector, sorted by name."""
    survey: Callable[[], Sequence[Mapping[str, float]]]
    statistics: Callable[[int], Statistics]
    """What was measured of operand `i`."""
    part: Sequence[Tensor] = ()
    """The task vectors' rows at hand, where the method is given them."""
    origin: Tensor | None = None
    """The base's rows at hand."""
    start: int = 0
    """Flat index of the first element at hand."""
    draws: dict[int, torch.Generator] = field(default_factory=dict)
    """One generator an operand: the rows' masks, one after the other, are the tensor's."""

    @property
    def place(self) -> Place:
        return place(self.tensor)

    @property
    def base(self) -> Tensor:
        assert self.origin is not None, "only methods with an origin look at it"
        return self.origin

    @property
    def surveyed(self) -> Sequence[Mapping[str, float]]:
        return self.survey()

    def gram(self) -> Gram:
        return self.bank.remember(self._key("gram", *self.keys), lambda: _gram(self._all()))

    def row_gram(self) -> Gram:
        return self.bank.remember(self._key("row_gram", *self.keys), lambda: _row_gram(self._all()))

    def norm(self, i: int, p: float) -> float:
        key = self._key("norm", self.keys[i], p)
        return self.bank.remember(key, lambda: _norm(self.whole(i), p))

    def keep_largest(self, i: int, density: float, scope: Scope = "tensor") -> Tensor:
        return self._cut(i, density, scope).mask(self.part[i], self.start)

    def trimmed(self, i: int, density: float, scope: Scope = "tensor") -> Tensor:
        return self._cut(i, density, scope).trim(self.part[i], self.start)

    def keep_random(self, i: int, keep: float | Tensor) -> Tensor:
        if i not in self.draws:
            self.draws[i] = generator(self.seed, self.tensor, self.names[i])
        shape, device = self.part[i].shape, self.part[i].device
        return torch.rand(shape, generator=self.draws[i]).to(device) < keep

    def largest(self, values: Tensor, k: int) -> Tensor:
        return Threshold.of_count(values, k).mask(values)

    def svd(self, i: int, rank: int) -> tuple[Tensor, Tensor, Tensor]:
        def leading() -> tuple[Tensor, Tensor, Tensor]:
            u, s, vt = singular_triples(self.whole(i))
            return u[:, :rank].clone(), s[:rank].clone(), vt[:rank].clone()

        return self.bank.remember(self._key("svd", self.keys[i], rank), leading)

    def decompose(self, matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return singular_triples(matrix)

    def has_statistic(self, i: int, kind: str) -> bool:
        return self.statistics(i).has(kind, self.tensor)

    def statistic(self, i: int, kind: str) -> Tensor:
        return self.statistics(i).tensor(kind, self.tensor)

    def statistic_norm(self, i: int, kind: str) -> float:
        return self.statistics(i).norm(kind)

    def keep_best(self, i: int, density: float, score: Score, scope: Scope = "tensor") -> Tensor:
        def scored(name: str, tau: Tensor) -> Tensor:
            return score(tau, lambda kind: self.statistics(i).tensor(kind, name))

        scores = scored(self.tensor, self.part[i])
        if scope == "tensor":
            cut = Threshold.of(scores, density)
        else:
            key = self._key("best", _elsewhere(self.keys[i]), density, score)
            found = self.bank.remember(
                key,
                lambda: global_thresholds(
                    lambda: ((name, scored(name, tau)) for name, tau in self.everywhere(i)), density
                ),
            )
            cut = found[self.tensor]
        return cut.mask(scores) & (scores > 0)

    def _cut(self, i: int, density: float, scope: Scope) -> Threshold:
        if scope == "tensor":
            key = self._key("threshold", self.keys[i], density)
            return self.bank.remember(key, lambda: Threshold.of(self.whole(i), density))
        key = self._key("thresholds", _elsewhere(self.keys[i]), density)
        cuts = self.bank.remember(
            key, lambda: global_thresholds(lambda: self.everywhere(i), density)
        )
        return cuts[self.tensor]

    def _all(self) -> list[Tensor]:
        return [self.whole(i) for i in range(len(self.keys))]

    def _key(self, kind: str, *parts: Hashable) -> Hashable:
        return None if None in parts else (kind, *parts)


def _elsewhere(key: Hashable) -> Hashable:
    """The key of the whole task vector that a tensor's key belongs to."""
    return key[1:] if isinstance(key, tuple) else None


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
