"""Span operators: the result is a linear combination of the inputs, tensor by tensor.

Without a base the vectors are the weights; with one they are the task vectors tau_i = th_i - th_0
and the combination is added to th_0. For `slerp` they are the weights, the base first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import Field

from evomerge.errors import CandidateError
from evomerge.merging.operators.base import Gram, operator
from evomerge.recipe.value import Value

__all__ = [
    "LinearOptions",
    "NuslerpOptions",
    "SlerpOptions",
    "TaskArithmeticOptions",
    "Weight",
    "linear",
    "nuslerp",
    "slerp",
    "task_arithmetic",
]


class Nothing(Value):
    """A method that takes no parameters of this sort."""


class Weight(Value):
    """One coefficient per input."""

    weight: float


class LinearOptions(Value):
    normalize: bool = True


@operator(
    "linear",
    family="span",
    base="none",
    shared=LinearOptions,
    each=Weight,
    citation="Wortsman et al., Model soups, ICML 2022, arXiv 2203.05482",
)
def linear(gram: Gram, options: LinearOptions, each: Sequence[Weight]) -> list[float]:
    """Weighted mean of the weights (model soup).

    th = sum_i w_i th_i, divided by sum_i w_i if `normalize`.

    Raises:
        CandidateError: the weights sum to 0 under `normalize`.
    """
    weights = [one.weight for one in each]
    return _normalized(weights) if options.normalize else weights


class TaskArithmeticOptions(Value):
    lambda_: float = Field(1.0, alias="lambda")
    normalize: bool = False


@operator(
    "task_arithmetic",
    family="span",
    base="origin",
    shared=TaskArithmeticOptions,
    each=Weight,
    citation="Ilharco et al., Editing models with task arithmetic, ICLR 2023, arXiv 2212.04089",
)
def task_arithmetic(
    gram: Gram, options: TaskArithmeticOptions, each: Sequence[Weight]
) -> list[float]:
    """Scaled task vectors added to the base.

    th = th_0 + lambda * sum_i w_i tau_i; `normalize` divides by sum_i w_i, as in mergekit.
    """
    weights = [one.weight for one in each]
    if options.normalize:
        weights = _normalized(weights)
    return [options.lambda_ * weight for weight in weights]


class SlerpOptions(Value):
    t: float = Field(ge=0.0, le=1.0)


@operator(
    "slerp",
    family="span",
    base="anchor",
    shared=SlerpOptions,
    each=Nothing,
    most=1,
    citation="Shoemake, SIGGRAPH 1985; threshold as in mergekit 0.1.5",
    needs_gram=True,
)
def slerp(gram: Gram, options: SlerpOptions, each: Sequence[Nothing]) -> list[float]:
    """Spherical interpolation from the base (t = 0) to one other model (t = 1).

    The factors multiply the vectors as they are, not normalised. Nearly parallel tensors
    (|cos| > 0.9995) are interpolated linearly; siblings of one base often are: see `nuslerp`.
    """
    return _arc(gram, options.t, parallel=0.9995)


class NuslerpOptions(Value):
    lambda_: float = Field(1.0, alias="lambda")


@operator(
    "nuslerp",
    family="span",
    base="optional_origin",
    shared=NuslerpOptions,
    each=Weight,
    least=2,
    most=2,
    citation="Shoemake, SIGGRAPH 1985; mergekit 0.1.5 `nuslerp`",
    needs_gram=True,
)
def nuslerp(gram: Gram, options: NuslerpOptions, each: Sequence[Weight]) -> list[float]:
    """Spherical interpolation of two models, of their task vectors where a base is given.

    t = w_2 / (w_1 + w_2), one half where the weights cancel; linear only where sin(angle) < 1e-8.
    """
    first, second = (one.weight for one in each)
    total = first + second
    t = second / total if abs(total) > 1e-6 * max(abs(first), abs(second), 1.0) else 0.5
    return [options.lambda_ * c for c in _arc(gram, t, parallel=math.cos(math.asin(1e-8)))]


def _arc(gram: Gram, t: float, *, parallel: float) -> list[float]:
    """Coefficients of the point at `t` on the arc between two vectors with this Gram matrix."""
    norm = math.sqrt(gram[0, 0] * gram[1, 1])
    if norm == 0.0:  # one vector is zero: there is no angle, and the chord is the only path
        return [1.0 - t, t]
    cosine = min(max(float(gram[0, 1]) / norm, -1.0), 1.0)
    if abs(cosine) >= parallel:
        return [1.0 - t, t]
    angle = math.acos(cosine)
    return [math.sin((1.0 - t) * angle) / math.sin(angle), math.sin(t * angle) / math.sin(angle)]


def _normalized(weights: Sequence[float]) -> list[float]:
    total = math.fsum(weights)
    if abs(total) <= 1e-8 * max(map(abs, weights), default=0.0) or total == 0.0:
        raise CandidateError(f"the weights {list(weights)} sum to 0 and cannot be normalised")
    return [weight / total for weight in weights]
