"""Spherical interpolation and means: directions are averaged on the sphere, lengths separately."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from evomerge.operators.base import Coefficients, Gram, TensorContext, operator
from evomerge.operators.parameters import Lambda, Nothing, Weight, divided, normalized, taken
from evomerge.recipe.arc import cosine
from evomerge.recipe.signature import Taken
from evomerge.value import Value

__all__ = ["karcher", "multislerp", "nuslerp", "slerp"]

PARALLEL_SINE = 1e-8
ANTIPODAL = -0.99
"""Below this cosine with the mean a direction is nearly opposite to it, and has no tangent."""


class SlerpOptions(Value):
    """Options of `slerp`."""

    t: float = Field(ge=0.0, le=1.0)
    """Position on the arc: 0 is the base, 1 the other model."""


def _slerp_sole(options: SlerpOptions, each: Sequence[Nothing]) -> Taken:
    return taken([options.t], over_base=True)


@operator(
    "slerp",
    family="span",
    base="anchor",
    shared=SlerpOptions,
    each=Nothing,
    max_inputs=1,
    citation="Shoemake, SIGGRAPH 1985; threshold as in mergekit 0.1.5",
    search_ranges={"t": (0.0, 1.0)},
    sole=_slerp_sole,
)
def slerp(options: SlerpOptions, each: Sequence[Nothing], context: TensorContext) -> list[float]:
    """Spherical interpolation from the base (t = 0) to one other model (t = 1).

    The factors multiply the vectors as they are, not normalised. Nearly parallel tensors
    (|cos| > 0.9995) are interpolated linearly; siblings of one base often are: see `nuslerp`.
    """
    return _arc(context.gram(), options.t, parallel=0.9995)


class NuslerpOptions(Lambda):
    """Options of `nuslerp`."""

    scope: Literal["tensor", "row"] = "tensor"
    """What has an angle: a tensor as a whole (mergekit's `nuslerp_flatten`), or each of its
    rows."""


def _nuslerp_sole(options: NuslerpOptions, each: Sequence[Weight]) -> Taken:
    return taken([options.lambda_ * float(own.weight != 0) for own in each])


@operator(
    "nuslerp",
    family="span",
    base="optional_origin",
    shared=NuslerpOptions,
    each=Weight,
    min_inputs=2,
    max_inputs=2,
    citation="Shoemake, SIGGRAPH 1985; mergekit 0.1.5 `nuslerp`",
    search_ranges={"weight": (0.0, 1.0), "lambda": (0.5, 1.5)},
    sole=_nuslerp_sole,
)
def nuslerp(
    options: NuslerpOptions, each: Sequence[Weight], context: TensorContext
) -> Coefficients:
    """Spherical interpolation of two models, of their task vectors where a base is given.

    t = w_2 / (w_1 + w_2), one half where the weights cancel; linear only where sin(angle) < 1e-8.
    """
    first, second = (parameters.weight for parameters in each)
    total = first + second
    t = second / total if abs(total) > 1e-6 * max(abs(first), abs(second), 1.0) else 0.5
    parallel = math.cos(math.asin(PARALLEL_SINE))
    if options.scope == "tensor":
        return [options.lambda_ * c for c in _arc(context.gram(), t, parallel=parallel)]
    rows = [_arc(gram, t, parallel=parallel) for gram in context.row_gram()]
    return options.lambda_ * np.array(rows).T


class MultislerpOptions(Value):
    """Options of `multislerp`."""

    normalize: bool = True
    """Divide by the sum of the weights."""


def _multislerp_sole(options: MultislerpOptions, each: Sequence[Weight]) -> Taken:
    weights = [own.weight for own in each]
    return taken([float(weight > 0) for weight in weights] if options.normalize else weights)


@operator(
    "multislerp",
    family="span",
    base="optional_origin",
    shared=MultislerpOptions,
    each=Weight,
    min_inputs=2,
    citation="C. Goddard, multislerp; mergekit 0.1.5",
    search_ranges={"weight": (0.0, 1.0)},
    sole=_multislerp_sole,
)
def multislerp(
    options: MultislerpOptions, each: Sequence[Weight], context: TensorContext
) -> Coefficients:
    """Mean direction times mean length, of the models or of their task vectors.

    u_i = x_i / |x_i|, m = sum_i w_i u_i, th = (m / |m|) * sum_i w_i |x_i|. The tangent step of
    mergekit's version is zero for any input and is left out. Where the directions cancel, the
    weighted mean stands in.
    """
    given = [parameters.weight for parameters in each]
    weights = np.array(normalized(given) if options.normalize else given)
    lengths, cosines = _directions(context.gram())
    size = math.sqrt(max(float(weights @ cosines @ weights), 0.0))
    if size <= 1e-8 * float(np.abs(weights).sum()):
        return weights
    return _over_lengths(weights / size, lengths) * float(weights @ lengths)


class KarcherOptions(Value):
    """Options of `karcher`."""

    iterations: int = Field(10, ge=1)
    """Largest number of steps."""
    tolerance: float = Field(1e-5, gt=0.0)
    """Stop where a step is shorter than this, in radians."""


class KarcherWeight(Value):
    """Parameters of one input of `karcher`."""

    weight: float = Field(1.0, ge=0.0)
    """Relative weight of this model in the mean."""


def _karcher_sole(options: KarcherOptions, each: Sequence[KarcherWeight]) -> Taken:
    return taken([float(own.weight > 0) for own in each])


@operator(
    "karcher",
    family="span",
    base="optional_origin",
    shared=KarcherOptions,
    each=KarcherWeight,
    min_inputs=2,
    citation="mergekit 0.1.5 `karcher`; Riemannian mean, arXiv 2603.04972",
    search_ranges={"weight": (0.0, 1.0)},
    sole=_karcher_sole,
)
def karcher(
    options: KarcherOptions, each: Sequence[KarcherWeight], context: TensorContext
) -> Coefficients:
    """Riemannian mean of the directions on the sphere, times the mean length.

    x moves by the weighted mean of the logarithms log_x(u_i) until a step is below `tolerance`;
    weights are relative. Where a direction is nearly opposite to x, `multislerp`'s mean stands in.
    """
    weights = np.array(divided([parameters.weight for parameters in each]))
    lengths, cosines = _directions(context.gram())
    there = lengths > 0
    share = np.where(there, weights, 0.0)
    start = _unit(share, cosines)
    if start is None:
        return weights
    mean = _climb(start, share, cosines, there, options)
    return _over_lengths(start if mean is None else mean, lengths) * float(weights @ lengths)


def _climb(
    start: NDArray[np.float64],
    weights: NDArray[np.float64],
    cosines: Gram,
    there: NDArray[np.bool_],
    options: KarcherOptions,
) -> NDArray[np.float64] | None:
    """The mean as coefficients of the unit vectors; None where one is nearly opposite to it."""
    x = start
    for _ in range(options.iterations):
        along = np.clip(cosines @ x, -1.0, 1.0)
        if along[there].min() < ANTIPODAL:
            return None
        angles = np.arccos(along)
        pull = weights * np.where(angles > 0, angles / np.maximum(np.sin(angles), 1e-12), 1.0)
        step = pull - float(pull @ along) * x
        size = math.sqrt(max(float(step @ cosines @ step), 0.0))
        if size < options.tolerance:
            break
        moved = _unit(math.cos(size) * x + (math.sin(size) / size) * step, cosines)
        x = x if moved is None else moved
    return x


def _directions(gram: Gram) -> tuple[NDArray[np.float64], Gram]:
    """Lengths of the vectors and cosines between them; 0 for a vector that is zero."""
    lengths = np.sqrt(np.maximum(np.diag(gram), 0.0))
    inverse = _over_lengths(np.ones_like(lengths), lengths)
    return lengths, gram * np.outer(inverse, inverse)


def _over_lengths(
    coefficients: NDArray[np.float64], lengths: NDArray[np.float64]
) -> NDArray[np.float64]:
    there = lengths > 0
    return np.where(there, coefficients / np.where(there, lengths, 1.0), 0.0)


def _unit(coefficients: NDArray[np.float64], cosines: Gram) -> NDArray[np.float64] | None:
    size = math.sqrt(max(float(coefficients @ cosines @ coefficients), 0.0))
    return coefficients / size if size > 1e-8 else None


def _arc(gram: Gram, t: float, *, parallel: float) -> list[float]:
    """Coefficients of the point at `t` on the arc between two vectors with this Gram matrix."""
    norm = math.sqrt(gram[0, 0] * gram[1, 1])
    along = cosine(float(gram[0, 1]), norm)
    if along is None or abs(along) >= parallel:  # the chord is the only path, or as good
        return [1.0 - t, t]
    angle = math.acos(along)
    return [math.sin((1.0 - t) * angle) / math.sin(angle), math.sin(t * angle) / math.sin(angle)]
