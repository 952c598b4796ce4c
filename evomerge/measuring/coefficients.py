"""Coefficients of task vectors that are being learned, and the model that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from evomerge.measuring.hooks import GradientHooks
from evomerge.measuring.live import Live
from evomerge.merging.bank import Bank
from evomerge.merging.vectors import Vector
from evomerge.operators.learned import pieces
from evomerge.operators.low_rank import LowRank
from evomerge.recipe.source import Source

__all__ = ["Coefficients"]

Link = Literal["clamp", "sigmoid"]
"""How a coefficient follows from the number that is learned."""


class Coefficients(GradientHooks):
    """One for each expert and piece of a tensor: th = th_0 + sum_i a_i o tau_i.

    Its gradient is the inner product of the weight's gradient with the piece of the task vector.
    So nothing the size of the model is kept: base and task vectors are read from the bank, and a
    weight's gradient is freed as soon as it has been used.
    """

    def __init__(
        self,
        live: Live,
        bank: Bank,
        base: Source,
        experts: Sequence[Source],
        *,
        counts: Mapping[str, int],
        link: Link,
        start: float,
        elsewhere: Mapping[str, float],
    ) -> None:
        """`counts`: tensor -> pieces; `elsewhere`: those that are not learned, 0 if not named."""
        super().__init__(live, sorted(counts))
        self._bank, self._base, self._experts = bank, base, experts
        self._link, self._elsewhere = link, elsewhere
        raw = start if link == "clamp" else float(torch.logit(torch.tensor(start)))
        self._raw = {
            name: torch.full((len(experts), count), raw, requires_grad=True)
            for name, count in sorted(counts.items())
        }
        self._slopes = {name: torch.zeros_like(raw) for name, raw in self._raw.items()}

    @property
    def learned(self) -> list[Tensor]:
        """What an optimizer changes."""
        return list(self._raw.values())

    def values(self) -> dict[str, Tensor]:
        """Tensor -> coefficients (experts, pieces), differentiable."""
        if self._link == "clamp":
            return {name: raw.clamp(0.0, 1.0) for name, raw in self._raw.items()}
        return {name: raw.sigmoid() for name, raw in self._raw.items()}

    @torch.no_grad()
    def load(self) -> None:
        """Write the model that they make now into the live one."""
        values = self.values()

        def merged(name: str) -> Tensor:
            weight = self._bank.tensor(self._base, name)
            rest = torch.tensor([self._elsewhere.get(name, 0.0)])
            for i, vector in enumerate(self._vectors(name)):
                own = (values[name][i] if name in values else rest).tolist()
                _add(weight, vector, own)
            return weight

        self._live.load(merged)

    def backward(self, also: Tensor | None) -> None:
        """Turn the gradients that the model's backward passes left into those of `learned`.

        `also`: a term of the loss that depends on the coefficients alone.
        """
        values = self.values()
        torch.autograd.backward(
            [values[name] for name in values], [self._slopes[name] for name in values]
        )
        if also is not None:
            also.backward()
        for slopes in self._slopes.values():
            slopes.zero_()

    def of_expert(self, i: int, names: Sequence[str]) -> dict[str, Tensor]:
        """Expert `i`'s coefficients for each of these tensors, learned or not."""
        with torch.no_grad():
            values = self.values()
        coefficients = {}
        for name in names:
            if name in values:
                coefficients[name] = values[name][i].detach().clone()
            else:
                coefficients[name] = torch.tensor([self._elsewhere.get(name, 0.0)])
        return coefficients

    def _vectors(self, name: str) -> list[Vector]:
        return [self._bank.change(expert, self._base, name) for expert in self._experts]

    def _use(self, name: str, gradient: Tensor) -> None:
        slopes, gradient = self._slopes[name], gradient.to("cpu")
        for i, vector in enumerate(self._vectors(name)):
            slopes[i] += _inner(gradient, vector, slopes.shape[1])


def _add(weight: Tensor, vector: Vector, coefficients: Sequence[float]) -> None:
    """weight += coefficients o vector, piece by piece."""
    if vector is None:
        return
    if isinstance(vector, LowRank):
        if len(coefficients) == 1:
            vector.add_to(weight, coefficients[0])
            return
        vector = vector.dense()
    count = len(coefficients)
    for part, piece, coefficient in zip(
        pieces(weight, count), pieces(vector, count), coefficients, strict=True
    ):
        part.add_(piece, alpha=coefficient)


def _inner(gradient: Tensor, vector: Vector, count: int) -> Tensor:
    """The inner product with each piece of the vector, (count,)."""
    if vector is None:
        return torch.zeros(count)
    if isinstance(vector, LowRank):
        if count == 1:
            return ((vector.b.T @ gradient) * vector.a).sum().mul(vector.scale).reshape(1)
        vector = vector.dense()
    pairs = zip(pieces(gradient, count), pieces(vector, count), strict=True)
    return torch.stack([piece.dot(other) for piece, other in pairs])
