"""Methods whose coefficients were learned before by gradients: AdaMerging, Expert Merging."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from evomerge.operators.base import TensorContext, operator
from evomerge.operators.parameters import Lambda
from evomerge.value import Value

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["adamerging", "expert_merging", "pieces"]


class Factor(Value):
    """Parameters of one input of `adamerging` and `expert_merging`."""

    weight: float = Field(1.0, ge=0.0)
    """Factor of the learned coefficients."""


@operator(
    "adamerging",
    family="statistics",
    base="origin",
    shared=Lambda,
    each=Factor,
    citation="Yang et al., AdaMerging, ICLR 2024, arXiv 2310.02575",
    search_ranges={"weight": (0.5, 1.5), "lambda": (0.5, 1.5)},
    statistics="coefficients",
)
def adamerging(
    taus: Sequence[Tensor], options: Lambda, each: Sequence[Factor], context: TensorContext
) -> Tensor:
    """Task vectors scaled by coefficients learned for confident answers, one a tensor and expert.

    th = th_0 + lambda * sum_i w_i clip(l_i, 0, 1) tau_i (equation 4) with the l_i that
    `evomerge learn` found: they minimise the entropy of the merged model's predictions.
    """
    return _scaled(taus, options, each, context, highest=1.0)


@operator(
    "expert_merging",
    family="statistics",
    base="origin",
    shared=Lambda,
    each=Factor,
    citation="Zhang et al., Expert Merging, 2025, arXiv 2509.25712",
    search_ranges={"weight": (0.5, 1.5), "lambda": (0.5, 1.5)},
    statistics="coefficients",
)
def expert_merging(
    taus: Sequence[Tensor], options: Lambda, each: Sequence[Factor], context: TensorContext
) -> Tensor:
    """Task vectors scaled by coefficients learned to answer as each expert does on its own inputs.

    th = th_0 + lambda * sum_i w_i a_i tau_i with the a_i that `evomerge learn` found: one a tensor,
    or (Expert Merging++) one for each of several consecutive pieces of a tensor.
    """
    return _scaled(taus, options, each, context, highest=None)


def _scaled(
    taus: Sequence[Tensor],
    options: Lambda,
    each: Sequence[Factor],
    context: TensorContext,
    highest: float | None,
) -> Tensor:
    merged = taus[0].new_zeros(taus[0].shape)
    for i, (tau, parameters) in enumerate(zip(taus, each, strict=True)):
        if not bool(tau.any()):
            continue
        learned = context.statistic(i, "coefficients")
        if highest is not None:
            learned = learned.clamp(0.0, highest)
        coefficients = (learned * (parameters.weight * options.lambda_)).tolist()
        for part, piece, coefficient in zip(
            pieces(merged, len(coefficients)),
            pieces(tau, len(coefficients)),
            coefficients,
            strict=True,
        ):
            part.add_(piece, alpha=coefficient)
    return merged


def pieces(tensor: Tensor, count: int) -> Sequence[Tensor]:
    """`count` consecutive pieces of the flattened tensor, of equal length but for the last."""
    return tensor.reshape(-1).chunk(count)
