"""Merge operators: pure functions registered by one decorator.

A *span* operator answers with one coefficient per vector; the engine forms the combination. It
sees the vectors' Gram matrix only, so a candidate costs no pass over the weights but the last.

An *elementwise* operator gets the task vectors of one tensor, all of its shape, in float32, and a
`Look` for what depends on more than one element (exact top-k) or on chance (seeded masks).

The modules of this package import no torch: they use the tensors' own methods, so that the driver
can list and check methods without loading it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from evomerge.recipe.signature import BaseRole, Family, Signature
from evomerge.recipe.value import Value

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["REGISTRY", "Elementwise", "Gram", "Look", "Operator", "Span", "operator"]

Gram = NDArray[np.float64]
"""(n, n) inner products of the n vectors, in operand order."""


class Look(Protocol):
    """What an elementwise operator may ask about task vector `i` beyond its elements."""

    def keep_largest(self, i: int, density: float) -> Tensor:
        """Boolean mask of the floor(density * D) largest magnitudes (exactly, at least one)."""

    def keep_random(self, i: int, keep: float) -> Tensor:
        """Boolean Bernoulli(keep) mask, seeded by recipe, tensor name and input name."""


Span = Callable[[Gram, Any, Sequence[Any]], Sequence[float]]
Elementwise = Callable[[Sequence["Tensor"], Any, Sequence[Any], Look], "Tensor"]


@dataclass(frozen=True)
class Operator:
    """A registered merge method: how it looks from outside, and the function."""

    signature: Signature
    function: Callable[..., Any]
    needs_gram: bool


REGISTRY: dict[str, Operator] = {}
F = TypeVar("F", bound=Callable[..., Any])


def operator(
    name: str,
    *,
    family: Family,
    base: BaseRole,
    shared: type[Value],
    each: type[Value],
    citation: str,
    least: int = 1,
    most: int | None = None,
    needs_gram: bool = False,
) -> Callable[[F], F]:
    """Register a function as the merge method `name`; its docstring's first line is the summary."""

    def register(function: F) -> F:
        if name in REGISTRY:
            raise ValueError(f"the merge method {name!r} is registered twice")
        summary = (function.__doc__ or "").strip().splitlines()[0]
        signature = Signature(
            name=name,
            summary=summary,
            citation=citation,
            family=family,
            base=base,
            shared=shared,
            each=each,
            least=least,
            most=most,
        )
        REGISTRY[name] = Operator(signature, function, needs_gram)
        return function

    return register
