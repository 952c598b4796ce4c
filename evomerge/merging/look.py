"""What an operator may ask about a tensor, answered from the bank's cache and the recipe."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from evomerge.merging.architecture import place
from evomerge.merging.bank import Bank
from evomerge.merging.linalg import singular_triples
from evomerge.merging.operators.base import Gram, Scope
from evomerge.merging.selection import Threshold, generator, global_thresholds
from evomerge.merging.vectors import Vector, dense
from evomerge.recipe.selector import Place

__all__ = ["TensorLook"]


@dataclass(frozen=True, kw_only=True)
class TensorLook:
    """Implements `Look` for one tensor of one merge."""

    bank: Bank
    tensor: str
    names: Sequence[str]
    layers: int
    seed: int
    vectors: Sequence[Vector]
    """The operands' weights or task vectors; an anchor's own weights first."""
    keys: Sequence[Hashable]
    """What names each vector in the bank; None for one that is itself a candidate's."""
    origin: Tensor | None
    everywhere: Callable[[int], Iterator[tuple[str, Tensor]]]
    """All tensors of operand `i`'s task vector, sorted by name."""
    survey: Callable[[], Sequence[Mapping[str, float]]]

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
        return self.bank.remember(
            self._key("gram", *self.keys), lambda: _gram(dense(self.vectors, self.origin))
        )

    def row_gram(self) -> Gram:
        return self.bank.remember(
            self._key("row_gram", *self.keys), lambda: _row_gram(dense(self.vectors, self.origin))
        )

    def norm(self, i: int, p: float) -> float:
        return self.bank.remember(
            self._key("norm", self.keys[i], p), lambda: _norm(self._tau(i), p)
        )

    def keep_largest(self, i: int, density: float, scope: Scope = "tensor") -> Tensor:
        tau = self._tau(i)
        if scope == "tensor":
            cut = self.bank.remember(
                self._key("threshold", self.keys[i], density), lambda: Threshold.of(tau, density)
            )
        else:
            cuts = self.bank.remember(
                self._key("thresholds", _elsewhere(self.keys[i]), density),
                lambda: global_thresholds(lambda: self.everywhere(i), density),
            )
            cut = cuts[self.tensor]
        return cut.mask(tau)

    def keep_random(self, i: int, keep: float | Tensor) -> Tensor:
        tau = self._tau(i)
        draws = generator(self.seed, self.tensor, self.names[i])
        return (torch.rand(tau.shape, generator=draws).to(tau.device)) < keep

    def largest(self, values: Tensor, k: int) -> Tensor:
        return Threshold.of_count(values, k).mask(values)

    def svd(self, i: int, rank: int) -> tuple[Tensor, Tensor, Tensor]:
        def leading() -> tuple[Tensor, Tensor, Tensor]:
            u, s, vt = singular_triples(self._tau(i))
            return u[:, :rank].clone(), s[:rank].clone(), vt[:rank].clone()

        return self.bank.remember(self._key("svd", self.keys[i], rank), leading)

    def decompose(self, matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return singular_triples(matrix)

    def _tau(self, i: int) -> Tensor:
        return dense([self.vectors[i]], self.origin)[0]

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
