"""WIDEN: experts weighed column by column, by how far length and direction moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from evomerge.operators.base import TensorContext, operator
from evomerge.operators.parameters import Lambda, Nothing

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["widen"]


class WidenOptions(Lambda):
    """Options of `widen`."""

    ratio: float = Field(1.0, ge=0.0)
    """A column is important where its rank is above `ratio` times the mean rank."""
    calibration: float = Field(1.0, ge=0.0)
    """The weight of an important column."""


@operator(
    "widen",
    family="matrix",
    base="origin",
    shared=WidenOptions,
    each=Nothing,
    citation="Yu et al., WIDEN, 2024, arXiv 2408.03092",
    search_ranges={"ratio": (0.5, 2.0), "calibration": (0.3, 1.2), "lambda": (0.5, 1.5)},
)
def widen(
    taus: Sequence[Tensor], options: WidenOptions, each: Sequence[Nothing], context: TensorContext
) -> Tensor:
    """Add in full the columns that an expert changed much, a share of the others.

    A column's change of length and of direction (1 - cosine) are ranked within each expert; the
    softmax of the ranks over the experts is its weight, but `calibration` where the rank is above
    `ratio` times the mean (section 3). In an embedding a column is a token's vector; in a vector
    the changes themselves take the ranks' place.
    """
    if taus[0].ndim != 2:
        weights = _weights([tau.abs() for tau in taus], options)
        return _weighted(taus, weights) * options.lambda_
    axis = 1 if context.place.component in ("embedding", "head") else 0
    base = context.base
    before = base.norm(dim=axis)
    lengths, turns = [], []
    for tau in taus:
        after = (base + tau).norm(dim=axis)
        lengths.append(_ranks((after - before).abs()))
        product = after * before
        # 1 - cos, where both columns are there; from the difference, which does not cancel.
        moved = (tau.norm(dim=axis).square() - (after - before).square()) / (2 * product)
        turns.append(_ranks(moved.where(product > 0, product.new_zeros(())).clamp(min=0)))
    by_length, by_turn = _weights(lengths, options), _weights(turns, options)
    weights = [
        ((length + turn) / 2).unsqueeze(axis)
        for length, turn in zip(by_length, by_turn, strict=True)
    ]
    return _weighted(taus, weights) * options.lambda_


def _ranks(values: Tensor) -> Tensor:
    """Ranks / n, in [0, 1); of equal values the first ranks lower."""
    order = values.argsort(stable=True).argsort()
    return order.to(values.dtype) / max(values.numel(), 1)


def _weights(scores: Sequence[Tensor], options: WidenOptions) -> list[Tensor]:
    """The softmax over experts of their scores, but the calibration where a score stands out."""
    highest = scores[0]
    for score in scores[1:]:
        highest = highest.maximum(score)
    powers = [(score - highest).exp() for score in scores]
    total = powers[0].clone()
    for power in powers[1:]:
        total += power
    return [
        (power / total).where(
            score <= options.ratio * score.mean(), score.new_full((), options.calibration)
        )
        for power, score in zip(powers, scores, strict=True)
    ]


def _weighted(taus: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    merged = taus[0] * weights[0]
    for tau, weight in zip(taus[1:], weights[1:], strict=True):
        merged += tau * weight
    return merged
