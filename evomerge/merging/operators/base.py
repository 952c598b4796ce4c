"""Merge operators: pure functions registered by one decorator.

A *span* operator answers with one coefficient per vector (or one per row of it); the engine forms
the combination. It sees the vectors' Gram matrix and norms only, which the bank keeps, so a
candidate costs no pass over the weights but the last.

Every other operator is *dense*: it gets the task vectors of one tensor, all of its shape, in
float32, and answers with the change of the base.

Both may look at what goes beyond one tensor's elements: see `Look`. The modules of this package
import no torch where they are loaded: the driver lists and checks methods without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from evomerge.recipe.selector import Place
from evomerge.recipe.signature import BaseRole, Evolve, Family, Signature
from evomerge.recipe.value import Value

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "REGISTRY",
    "Coefficients",
    "Dense",
    "Gram",
    "Look",
    "Operator",
    "Scope",
    "Score",
    "Span",
    "Survey",
    "operator",
]

Gram = NDArray[np.float64]
"""(n, n) inner products of the n vectors, in operand order; (m, n, n) row by row."""

Coefficients = Sequence[float] | NDArray[np.float64]
"""One per vector; as an array of shape (n, m), one per vector and row."""

Scope = Literal["tensor", "global"]
"""Where a share of the elements is counted: in each tensor, or in the whole model."""


class Score(Protocol):
    """What the elements of one tensor's task vector are worth, none less than 0.

    Hashable, and equal to another that scores alike: what follows from it is kept.
    """

    def __hash__(self) -> int: ...

    def __call__(self, tau: Tensor, statistic: Callable[[str], Tensor]) -> Tensor:
        """In the shape of `tau`; `statistic(kind)` is the input's own for this tensor."""


class Look(Protocol):
    """What an operator may ask about one tensor and its vectors, beyond their elements."""

    @property
    def place(self) -> Place:
        """Where the tensor sits."""

    @property
    def layers(self) -> int:
        """Layers of the model."""

    @property
    def size(self) -> int:
        """Elements of the whole tensor, of which the rows at hand may be a part."""

    @property
    def names(self) -> Sequence[str]:
        """The operands' names, in their order."""

    @property
    def base(self) -> Tensor:
        """The base's weights, the rows at hand, float32; not to be changed."""

    @property
    def surveyed(self) -> Sequence[Mapping[str, float]]:
        """What the operator's survey found over the whole model, a round each."""

    def gram(self) -> Gram:
        """Of the vectors; the base's weights are the first of them where it is an anchor."""

    def row_gram(self) -> Gram:
        """The same for each row of a matrix; a tensor of another rank counts as one row."""

    def norm(self, i: int, p: float) -> float:
        """The p-norm of vector `i`; p may be infinite."""

    def keep_largest(self, i: int, density: float, scope: Scope = "tensor") -> Tensor:
        """Boolean mask of the floor(density * D) largest magnitudes (exactly, at least one)."""

    def trimmed(self, i: int, density: float, scope: Scope = "tensor") -> Tensor:
        """Task vector `i` with all but its largest magnitudes set to 0; a new tensor."""

    def keep_random(self, i: int, keep: float | Tensor) -> Tensor:
        """Boolean Bernoulli(keep) mask, seeded by recipe, tensor name and input name."""

    def largest(self, values: Tensor, k: int) -> Tensor:
        """Boolean mask of the k largest magnitudes of any tensor; of equal ones the first."""

    def svd(self, i: int, rank: int) -> tuple[Tensor, Tensor, Tensor]:
        """At most `rank` leading singular triples (U, S, V^T) of task vector `i`, a matrix.

        Singular values below 1e-6 of the largest are rounding noise, and left out: their vectors
        are arbitrary. A zero matrix has none.
        """

    def decompose(self, matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same for any matrix, all of its triples; nothing is kept."""

    def has_statistic(self, i: int, kind: str) -> bool:
        """Whether input `i`'s statistics of this kind have the whole tensor."""

    def statistic(self, i: int, kind: str) -> Tensor:
        """Of input `i` and the whole tensor, float32; a `SourceError` where there is none."""

    def statistic_norm(self, i: int, kind: str) -> float:
        """The 2-norm of all of input `i`'s statistics of this kind, over the whole model."""

    def keep_best(self, i: int, density: float, score: Score, scope: Scope = "tensor") -> Tensor:
        """Boolean mask of the floor(density * D) best scores of task vector `i`, exactly, at least
        one; but never of a score of 0."""


Span = Callable[[Any, Sequence[Any], Look], Coefficients]
Dense = Callable[[Sequence["Tensor"], Any, Sequence[Any], Look], "Tensor"]
Survey = Callable[[Sequence["Tensor"], Any, Sequence[Any], Look], Mapping[str, float]]
"""Numbers of one tensor that are added up over the model; round r sees those of 0 to r - 1."""


@dataclass(frozen=True)
class Operator:
    """A registered merge method: how it looks from outside, and the function."""

    signature: Signature
    function: Callable[..., Any]
    survey: Survey | None = None
    rounds: Callable[[int], int] = lambda operands: 1
    """Rounds of the survey, given the number of operands."""
    by_rows: Callable[[Any], bool] = lambda options: False
    """Whether, with these options, rows may be merged apart from each other: all that a row needs
    beyond itself it asks of the look."""


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
    evolve: Mapping[str, Evolve] | None = None,
    survey: Survey | None = None,
    rounds: Callable[[int], int] = lambda operands: 1,
    by_rows: Callable[[Any], bool] = lambda options: False,
    statistics: str | None = None,
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
            evolve=evolve or {},
            statistics=statistics,
        )
        REGISTRY[name] = Operator(signature, function, survey, rounds, by_rows)
        return function

    return register
