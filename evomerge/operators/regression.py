"""RegMean: the weights whose outputs are nearest to every expert's, on that expert's inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from evomerge.errors import CandidateError
from evomerge.operators.base import TensorContext, operator
from evomerge.operators.parameters import normalized
from evomerge.value import Value

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["regmean"]


class RegmeanOptions(Value):
    """Options of `regmean`."""

    alpha: float = Field(0.9, ge=0.0, le=1.0)
    """Factor of the Gram matrices' off-diagonal elements."""
    ridge: float = Field(1e-4, ge=0.0)
    """How strongly the solution is pulled to the weighted mean, in units of the mean diagonal
    element. Directions that the inputs say nothing about become the mean."""


class RegmeanWeight(Value):
    """Parameters of one input of `regmean`."""

    weight: float = Field(1.0, ge=0.0)
    """Factor of this expert's Gram matrix."""


@operator(
    "regmean",
    family="statistics",
    base="optional_origin",
    shared=RegmeanOptions,
    each=RegmeanWeight,
    citation="Jin et al., Dataless knowledge fusion (RegMean), ICLR 2023, arXiv 2212.09849",
    search_ranges={"weight": (0.1, 2.0), "alpha": (0.0, 0.99), "ridge": (1e-6, 1e-2, "log")},
    statistics="gram",
)
def regmean(
    taus: Sequence[Tensor],
    options: RegmeanOptions,
    each: Sequence[RegmeanWeight],
    context: TensorContext,
) -> Tensor:
    """Solve each linear layer for the outputs of all experts on their own inputs; average the rest.

    W = (sum_i W_i G_i) (sum_i G_i)^-1 (equation 2, transposed: W is (out, in)) with G_i the Gram
    matrix of expert i's inputs, a row's mean, its off-diagonal elements times `alpha`, itself times
    `weight`. A tensor for which there is no Gram matrix is the weighted mean.

    Raises:
        CandidateError: the weights sum to 0, or the Gram matrices' sum is singular.
        SourceError: some experts have a Gram matrix of the tensor, and others do not.
    """
    weights = normalized([parameters.weight for parameters in each])
    mean = taus[0].new_zeros(taus[0].shape)
    for tau, weight in zip(taus, weights, strict=True):
        mean.add_(tau, alpha=weight)
    if not any(context.has_statistic(i, "gram") for i in range(len(taus))):
        return mean
    # In float64: the condition number of activations' Gram matrices is often above 1e7.
    size = taus[0].shape[1]
    gram = taus[0].new_zeros((size, size), dtype=mean.double().dtype)
    wanted = gram.new_zeros(mean.shape)
    for i, (tau, weight) in enumerate(zip(taus, weights, strict=True)):
        own = context.statistic(i, "gram").to(gram, copy=True)
        diagonal = own.diagonal().clone()
        own.mul_(options.alpha * weight).diagonal().copy_(diagonal * weight)
        gram += own
        wanted.addmm_(tau.double(), own)
    pull = options.ridge * (float(gram.diagonal().mean()) or 1.0)
    gram.diagonal().add_(pull)
    wanted.add_(mean.double(), alpha=pull)
    return _solved(gram, wanted, context).to(mean.dtype)


def _solved(gram: Tensor, wanted: Tensor, context: TensorContext) -> Tensor:
    """W with W gram = wanted; gram is symmetric."""
    from torch.linalg import cholesky_ex

    factor, failed = cholesky_ex(gram)
    if int(failed):
        raise CandidateError(
            f"regmean: the inputs of {context.place.name} leave its weights undetermined;"
            " raise ridge"
        )
    return wanted.T.cholesky_solve(factor).T.contiguous()
