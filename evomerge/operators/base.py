"""Merge operators: pure functions registered by one decorator.

A *span* operator answers with one coefficient per vector (or one per row of it); the engine forms
the combination. It sees the vectors' Gram matrix and norms only, which the bank keeps, so a
candidate costs no pass over the weights but the last.

An *elementwise* operator is a kernel and a plan. The kernel is plain tensor arithmetic on elements,
which the engine runs in one pass, compiled where that pays. The plan says, for one tensor, what the
kernel needs beside the elements: numbers, cuts between large and small changes, random draws.

Every other operator is *dense*: it gets the task vectors of one tensor, all of its shape, in
float32, and answers with the change of the base.

An *adapter* operator gets the low-rank changes of one weight, one an operand and of rank 0 where an
adapter leaves the weight alone, and answers with one low-rank change. A weight that no operand
changes is not passed to it.

All may ask for more than one tensor's elements: see `TensorContext`. The modules of this package
import no torch when they are loaded: the driver lists and checks methods without it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from evomerge.recipe.selector import Place
from evomerge.recipe.signature import BaseRole, Combine, Family, SearchRange, Signature, Sole
from evomerge.value import Value

if TYPE_CHECKING:
    from torch import Tensor

    from evomerge.operators.low_rank import LowRank
    from evomerge.operators.selection import Threshold

__all__ = [
    "Adapter",
    "Bernoulli",
    "Coefficients",
    "Dense",
    "Gram",
    "Kernel",
    "TensorContext",
    "Operator",
    "KernelPlan",
    "Scope",
    "Score",
    "Span",
    "Survey",
    "operator",
    "operator_of",
]

T = TypeVar("T")

Gram = NDArray[np.float64]
"""(n, n) inner products of the n vectors, in operand order; (m, n, n) row by row."""

Coefficients = Sequence[float] | NDArray[np.float64]
"""One per vector; as an array of shape (n, m), one per vector and row."""

Scope = Literal["tensor", "global"]
"""Where a share of the elements is counted: in each tensor, or in the whole model."""


@dataclass(frozen=True)
class Bernoulli:
    """A probability: a draw is below its limit in that share of the elements."""

    keep: float


@dataclass(frozen=True, kw_only=True)
class KernelPlan:
    """What an elementwise kernel needs of one tensor beside its elements."""

    numbers: Mapping[str, Sequence[float | Threshold | Bernoulli]] = field(default_factory=dict)
    """By name, one for each operand or as many as the kernel takes; it gets tensors without axes. A
    threshold becomes the largest magnitude that is cut off, a `Bernoulli` the limit of the draws.
    Other numbers, for another tensor or candidate, do not compile the kernel again."""
    elements: Mapping[str, Sequence[Tensor]] = field(default_factory=dict)
    """Tensors with one value for each element, beside the task vectors."""
    random: bool = False
    """Whether the kernel takes `draws`, int32, one an operand and element: seeded by recipe, tensor
    and operand, whatever the order and the device."""
    switches: tuple[Hashable, ...] = ()
    """The kernel's further arguments: each combination is compiled on its own."""


class Score(Protocol):
    """Scores the elements of one tensor's task vector, none below 0.

    Hashable, and equal to another that gives the same scores: results are cached by it.
    """

    def __hash__(self) -> int: ...

    def __call__(self, tau: Tensor, statistic: Callable[[str], Tensor]) -> Tensor:
        """In the shape of `tau`; `statistic(kind)` is the input's own for this tensor."""


class TensorContext(Protocol):
    """What an operator may ask about one tensor and its vectors, beyond their elements."""

    @property
    def place(self) -> Place:
        """Where the tensor sits."""

    @property
    def layers(self) -> int:
        """Layers of the tower that it sits in."""

    @property
    def size(self) -> int:
        """Elements of the tensor."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""

    @property
    def seed(self) -> int:
        """The recipe's, which its draws follow."""

    @property
    def names(self) -> Sequence[str]:
        """The operands' names, in their order."""

    @property
    def base(self) -> Tensor:
        """The base's weights, float32; not to be changed."""

    @property
    def surveyed(self) -> Sequence[Mapping[str, float]]:
        """What the operator's survey found over the whole model, a round each."""

    def gram(self) -> Gram:
        """(n, n) inner products of the vectors; an anchor's weights come first."""

    def row_gram(self) -> Gram:
        """The same for each row of a matrix; a tensor of another rank counts as one row."""

    def norm(self, i: int, p: float) -> float:
        """The p-norm of vector `i`; p may be infinite."""

    def cut(self, i: int, density: float, scope: Scope = "tensor") -> Threshold:
        """Between the floor(density * D) largest magnitudes (exactly, at least one) and the rest.

        Of equal ones the first are kept.
        """

    def taus(self) -> Sequence[Tensor]:
        """The task vectors, float32, in the tensor's shape; not to be changed."""

    def memoise(self, what: Hashable, compute: Callable[[], T]) -> T:
        """What `compute` finds in the vectors, kept by the bank under `what` and the vectors."""

    def memoise_on_disk(
        self, what: Hashable, compute: Callable[[], tuple[Tensor, ...]]
    ) -> tuple[Tensor, ...]:
        """The same for tensors that took long to find: also kept on disk, by content."""

    def threshold(self, values: Tensor, k: int) -> Threshold:
        """The cut that keeps the k largest magnitudes of any tensor."""

    def ranks(self, i: int) -> Tensor:
        """Of each change of task vector `i`, its magnitude's rank in its row, the last axis.

        0 is the smallest, of equal ones the first; an integer tensor, not to be changed.
        """

    def draws(self, i: int) -> Tensor:
        """Task vector `i`'s random draws, int32, in the tensor's shape, as a kernel gets them."""

    def uniform(self, i: int, count: int) -> Tensor:
        """(count,) random numbers from 0 to 1 of task vector `i`, float32, seeded as its draws."""

    def limit(self, chance: Bernoulli) -> int:
        """What a draw does not exceed with this probability."""

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
        """Statistics of input `i` for the tensor, float32; `SourceError` where there are none."""

    def statistic_norm(self, i: int, kind: str) -> float:
        """The 2-norm of all of input `i`'s statistics of this kind, over the whole model."""

    def keep_best(self, i: int, density: float, score: Score, scope: Scope = "tensor") -> Tensor:
        """Boolean mask of the floor(density * D) best scores of task vector `i`, exactly, at least
        one; but never of a score of 0."""


Span = Callable[[Any, Sequence[Any], TensorContext], Coefficients]
Planner = Callable[[Any, Sequence[Any], TensorContext], KernelPlan]
Kernel = Callable[..., "Tensor"]
"""(taus, numbers, *switches) -> the change of the base, in plain tensor arithmetic by element.

`numbers` holds the plan's numbers and elements by name, and `draws` where the plan is random. No
fused multiply-add (`add_(alpha=...)`, `addcmul`): compiled code rounds after the product, too."""
Dense = Callable[[Sequence["Tensor"], Any, Sequence[Any], TensorContext], "Tensor"]
Adapter = Callable[[Sequence["LowRank"], Any, Sequence[Any], TensorContext], "LowRank"]
Survey = Callable[[Sequence["Tensor"], Any, Sequence[Any], TensorContext], Mapping[str, float]]
"""Numbers of one tensor that are added up over the model; round r sees those of 0 to r - 1."""


@dataclass(frozen=True)
class Operator:
    """A registered merge method: how it looks from outside, and the function."""

    signature: Signature
    function: Callable[..., Any]
    survey: Survey | None = None
    rounds: Callable[[int], int] = lambda operands: 1
    """Rounds of the survey, given the number of operands."""
    plan: Planner | None = None
    """The planner of an elementwise method, whose function is the kernel."""


_OPERATOR = "evomerge_operator"
"""The attribute of a decorated function that holds its `Operator`."""

F = TypeVar("F", bound=Callable[..., Any])


def operator(
    name: str,
    *,
    family: Family,
    base: BaseRole,
    shared: type[Value],
    each: type[Value],
    citation: str,
    min_inputs: int = 1,
    max_inputs: int | None = None,
    search_ranges: Mapping[str, SearchRange] | None = None,
    survey: Survey | None = None,
    rounds: Callable[[int], int] = lambda operands: 1,
    plan: Planner | None = None,
    combine: Combine = "delta",
    statistics: str | None = None,
    sole: Sole = lambda options, each: None,
) -> Callable[[F], F]:
    """Make a function the merge method `name`; its docstring's first line is the summary.

    The method is found by its entry in `evomerge.operators`, or in another package's entry points
    of the group `evomerge.operators`: `NAME = "package.module:function"`.

    Args:
        family: what the engine needs for it, and so how the function is called; see above.
        base: what the recipe's base is to the method.
        shared: its options that hold for all inputs.
        each: the parameters of one input.
        citation: the paper and where in it the method stands.
        min_inputs: the smallest number of inputs, the base not counted.
        max_inputs: the largest; None: no limit.
        search_ranges: parameter -> the range that a search has where a job gives none.
        survey: numbers of one tensor that are added up over the whole model beforehand.
        rounds: how many rounds the survey takes, given the number of inputs.
        plan: of an elementwise method, whose function is the kernel.
        combine: what of a low-rank change it combines.
        statistics: the kind of statistics that every input has to come with.
        sole: which input the result is for certain, given options and parameters.
    """

    def register(function: F) -> F:
        summary = (function.__doc__ or "").strip().partition("\n")[0]
        if not summary:
            raise ValueError(f"the method {name!r} has no docstring to say what it does")
        signature = Signature(
            name=name,
            summary=summary,
            citation=citation,
            family=family,
            base=base,
            shared=shared,
            each=each,
            min_inputs=min_inputs,
            max_inputs=max_inputs,
            search_ranges=search_ranges or {},
            combine=combine,
            statistics=statistics,
            sole=sole,
        )
        function.__dict__[_OPERATOR] = Operator(signature, function, survey, rounds, plan)
        return function

    return register


def operator_of(name: str, function: object) -> Operator:
    """The method that a decorated function is.

    Raises:
        TypeError: it is not decorated, or is a method of another name.
    """
    method = getattr(function, _OPERATOR, None)
    if not isinstance(method, Operator):
        raise TypeError("it is no function that `evomerge.operators.base.operator` decorates")
    if method.signature.name != name:
        raise TypeError(f"it is the method {method.signature.name!r}; the two names must agree")
    return method
