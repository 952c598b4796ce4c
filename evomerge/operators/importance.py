"""Methods that take over what changed most and matters most: Arcee Fusion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evomerge.operators.base import TensorContext, operator
from evomerge.operators.masks import kept
from evomerge.operators.parameters import Lambda, Nothing

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["arcee_fusion"]

FLOOR = 1e-8
"""Added to every probability, so that each has a logarithm."""
SPREAD = 1.5
"""An outlier is above the median by so many interquartile ranges."""


class ArceeFusionOptions(Lambda):
    """Options of `arcee_fusion`."""


@operator(
    "arcee_fusion",
    family="matrix",
    base="origin",
    shared=ArceeFusionOptions,
    each=Nothing,
    max_inputs=1,
    citation="Arcee AI, Arcee Fusion, 2025; mergekit 0.1.5 `arcee_fusion`",
    search_ranges={"lambda": (0.5, 1.5)},
)
def arcee_fusion(
    taus: Sequence[Tensor],
    options: ArceeFusionOptions,
    each: Sequence[Nothing],
    context: TensorContext,
) -> Tensor:
    """Take over only the changes of one other model whose importance is an outlier.

    The importance of an element is |tau| times KL(p || q), with p and q the softmax of its row (the
    last axis) in the other model and in the base. Kept is what reaches the median and 1.5
    interquartile ranges, counted in the tensor; the quartiles are elements, exact at every size.
    """
    (tau,) = taus
    rows = (1,) if tau.ndim == 0 else tau.shape
    base, change = context.base.reshape(rows), tau.reshape(rows)
    theirs = (base + change).softmax(dim=-1) + FLOOR
    ours = base.softmax(dim=-1) + FLOOR
    importance = change.abs() * (theirs * (theirs / ours).log()).sum(dim=-1, keepdim=True)
    first, median, third = (_quantile(importance, share) for share in (0.25, 0.5, 0.75))
    taken = importance >= median + SPREAD * (third - first)
    return kept(change, taken).reshape(tau.shape) * options.lambda_


def _quantile(values: Tensor, share: float) -> Tensor:
    """The element below which this share of the others is."""
    place = int(share * (values.numel() - 1))
    return values.flatten().kthvalue(place + 1).values
