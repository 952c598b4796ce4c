"""Elementwise operators on task vectors: TIES, DARE and their combination."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from evomerge.merging.operators.base import Look, operator
from evomerge.recipe.value import Value

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["DareOptions", "TiesOptions", "WeightDensity", "dare_linear", "dare_ties", "ties"]

DARE = "Yu et al., Language models are super Mario (DARE), ICML 2024, arXiv 2311.03099"


class WeightDensity(Value):
    """A coefficient, and the share of the task vector's elements that is kept."""

    weight: float
    density: float = Field(1.0, gt=0.0, le=1.0)


class TiesOptions(Value):
    lambda_: float = Field(1.0, alias="lambda")
    normalize: bool = True


class DareOptions(Value):
    lambda_: float = Field(1.0, alias="lambda")
    normalize: bool = False
    rescale: Literal["inverse_keep", "l1", "none"] = "inverse_keep"
    """`inverse_keep`: by the density (the paper); `l1`: to the tensor's L1 norm (mergekit)."""


@operator(
    "ties",
    family="elementwise",
    base="origin",
    shared=TiesOptions,
    each=WeightDensity,
    citation="Yadav et al., TIES-Merging, NeurIPS 2023, arXiv 2306.01708",
)
def ties(
    taus: Sequence[Tensor], options: TiesOptions, each: Sequence[WeightDensity], look: Look
) -> Tensor:
    """Trim small changes, elect a sign per element, average the changes that agree.

    Section 3: trim (exact top-k of each tensor), elect (sign of the weighted sum, 0 counting as
    plus), disjoint mean. Weights enter before the election, as in mergekit.
    """
    parts = [
        tau * one.weight
        if one.density >= 1
        else tau * one.weight * look.keep_largest(i, one.density)
        for i, (tau, one) in enumerate(zip(taus, each, strict=True))
    ]
    return _agreeing(parts, each, options.normalize) * options.lambda_


@operator(
    "dare_linear",
    family="elementwise",
    base="origin",
    shared=DareOptions,
    each=WeightDensity,
    citation=DARE,
)
def dare_linear(
    taus: Sequence[Tensor], options: DareOptions, each: Sequence[WeightDensity], look: Look
) -> Tensor:
    """Drop changes at random, rescale the rest, add them (DARE on task arithmetic)."""
    parts = _dropped(taus, options, each, look)
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    if options.normalize:
        total = total / _divisor(sum(one.weight for one in each))
    return total * options.lambda_


@operator(
    "dare_ties",
    family="elementwise",
    base="origin",
    shared=DareOptions,
    each=WeightDensity,
    citation=f"{DARE}; Yadav et al. 2023",
)
def dare_ties(
    taus: Sequence[Tensor], options: DareOptions, each: Sequence[WeightDensity], look: Look
) -> Tensor:
    """Drop changes at random, rescale the rest, merge those that agree in sign (DARE-TIES)."""
    parts = _dropped(taus, options, each, look)
    return _agreeing(parts, each, options.normalize) * options.lambda_


def _dropped(
    taus: Sequence[Tensor], options: DareOptions, each: Sequence[WeightDensity], look: Look
) -> list[Tensor]:
    """w_i * m_i o tau_i, rescaled: E[m o tau / density] = tau (equation 2)."""
    parts = []
    for i, (tau, one) in enumerate(zip(taus, each, strict=True)):
        if one.density >= 1:
            parts.append(tau * one.weight)
            continue
        kept = tau * look.keep_random(i, one.density)
        match options.rescale:
            case "inverse_keep":
                scale = 1.0 / one.density
            case "l1":
                left = float(kept.abs().sum())
                scale = float(tau.abs().sum()) / left if left > 0 else 1.0
            case "none":
                scale = 1.0
        parts.append(kept * (one.weight * scale))
    return parts


def _agreeing(parts: Sequence[Tensor], each: Sequence[WeightDensity], normalize: bool) -> Tensor:
    """Sum of the weighted changes whose sign is the elected one, by the survivors' weight if asked.

    The divisor is the sum of |w|, not of w: otherwise a negative weight would undo itself.
    """
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    elected = (total >= 0).to(total.dtype) * 2 - 1
    merged = total.new_zeros(total.shape)
    weight = total.new_zeros(total.shape)
    for part, one in zip(parts, each, strict=True):
        agrees = part.sign() == elected
        merged += part * agrees
        weight += agrees * abs(one.weight)
    return merged / weight.where(weight > 0, weight.new_ones(())) if normalize else merged


def _divisor(total: float) -> float:
    return total if abs(total) > 1e-8 else 1.0
