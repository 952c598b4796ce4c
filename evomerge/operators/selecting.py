"""Methods that weigh experts by where they differ or agree: SCE, PCB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from evomerge.operators.base import KernelPlan, TensorContext, operator
from evomerge.operators.masks import kept
from evomerge.operators.parameters import Lambda, Nothing, divided
from evomerge.operators.signs import EVERYTHING, agreeing, majority, total
from evomerge.value import Value

if TYPE_CHECKING:
    from torch import Tensor

    from evomerge.operators.selection import Threshold

    Numbers = Mapping[str, Sequence[Tensor]]

__all__ = ["pcb", "sce"]


class SceOptions(Lambda):
    """Options of `sce`."""

    select_topk: float = Field(1.0, gt=0.0, le=1.0)
    """Share of the positions, among those where the experts differ, that is selected."""
    select_scope: Literal["all", "weights_only"] = "all"
    """`all`: what is not selected is not merged (mergekit); `weights_only`: the selection only
    weighs the experts (the authors' code)."""


def _sce_plan(options: SceOptions, each: Sequence[Nothing], context: TensorContext) -> KernelPlan:
    share = 1.0 if len(each) == 1 else options.select_topk
    cut, energies = context.memoise(("sce", share), lambda: _selection(context, share))
    return KernelPlan(
        numbers={"cut": [cut], "share": divided(energies), "lambda": [options.lambda_]},
        switches=(options.select_scope, share < 1),
    )


def _selection(context: TensorContext, share: float) -> tuple[float | Threshold, list[float]]:
    """The cut between the positions of largest variance and the rest, and the energies there."""
    taus = context.taus()
    cut: float | Threshold = EVERYTHING
    if share < 1:
        variance = _variance(taus)
        differing = int((variance > 0).sum())
        if differing:
            threshold = context.threshold(variance, max(1, int(share * differing + 1e-6)))
            cut, taus = threshold, [kept(tau, threshold.mask(variance)) for tau in taus]
    return cut, [float(tau.double().square().sum()) for tau in taus]


def _variance(taus: Sequence[Tensor]) -> Tensor:
    """T times the variance over the experts; without a division, which compilers may change."""
    mean = total(taus) * (1.0 / len(taus))
    return total([(tau - mean) * (tau - mean) for tau in taus])


@operator(
    "sce",
    family="elementwise",
    base="origin",
    shared=SceOptions,
    each=Nothing,
    citation="Wan et al., FuseChat (SCE), 2024, arXiv 2408.07990",
    search_ranges={"select_topk": (0.05, 1.0), "lambda": (0.5, 1.5)},
    plan=_sce_plan,
)
def sce(
    taus: Sequence[Tensor],
    numbers: Numbers,
    scope: Literal["all", "weights_only"],
    selects: bool,
) -> Tensor:
    """Select where experts differ most, weigh each by its energy there, erase minority signs.

    Select: the top share of positions by variance over experts. Calculate: a_i = the energy of
    tau_i there over the sum of energies. Erase: entries against the sign of sum_i tau_i. Merge:
    the weighted mean of what is left. Every comparison is relative: mergekit's absolute 1e-6 makes
    its weights equal on ordinary task vectors.
    """
    used = list(taus)
    if selects and scope == "all":
        chosen = _variance(taus) > numbers["cut"][0]
        used = [kept(tau, chosen) for tau in taus]
    shares = numbers["share"]
    parts = [tau * share for tau, share in zip(used, shares, strict=True)]
    return agreeing(parts, majority(used), shares) * numbers["lambda"][0]


class PcbOptions(Lambda):
    """Options of `pcb`."""

    ratio: float = Field(0.1, gt=0.0, le=1.0)
    """Share of the elements that is kept of each expert."""
    clip: float = Field(0.0, ge=0.0, lt=0.5)
    """Magnitudes are held to their [clip, 1 - clip] quantiles first."""
    variant: Literal["raw", "norm"] = "raw"
    """What an element is compared with: the sum of the changes, or of their scaled magnitudes."""


class PcbWeight(Value):
    """Parameters of one input of `pcb`."""

    weight: float = 1.0
    """Coefficient of this expert's kept changes."""


@operator(
    "pcb",
    family="elementwise",
    base="origin",
    shared=PcbOptions,
    each=PcbWeight,
    min_inputs=2,
    citation="Du et al., Parameter Competition Balancing, NeurIPS 2024, arXiv 2410.02396",
    search_ranges={"ratio": (0.02, 0.5, "log"), "weight": (0.5, 2.0)},
)
def pcb(
    taus: Sequence[Tensor], options: PcbOptions, each: Sequence[PcbWeight], context: TensorContext
) -> Tensor:
    """Score elements by their size and by agreement with the other experts, keep the best.

    intra = exp(T N(|tau|)^2), inter = tanh(tau o sum tau), with N the scaling to [0, 1]; scores
    at or below the (1 - ratio) quantile of intra o inter are 0, and the changes' mean is weighted
    by the scaled scores (the released code's formulas, tensor by tensor).
    """
    clipped = [_clipped(tau, options.clip) for tau in taus]
    sizes = [_scaled(tau.abs()) for tau in clipped]
    if options.variant == "raw":
        others = total(taus)
    else:
        others = total([tau.sign() * size for tau, size in zip(taus, sizes, strict=True)])
    merged = others.new_zeros(others.shape)
    weight = others.new_zeros(others.shape)
    for tau, held, size, parameters in zip(taus, clipped, sizes, each, strict=True):
        score = (size.square() * len(taus)).exp() * (tau * others).tanh()
        score = _scaled(score.clamp(min=_lower(score, options.ratio)))
        merged += held * score * parameters.weight
        weight += score
    # The change is 0 where every score is.
    return merged / weight.where(weight > 1e-12, weight.new_ones(())) * options.lambda_


def _clipped(tau: Tensor, share: float) -> Tensor:
    """`tau` with its magnitudes held to their [share, 1 - share] quantiles."""
    if share == 0:
        return tau
    size, magnitude = tau.numel(), tau.abs()
    low = _ranked(magnitude, int(size * share))
    high = _ranked(magnitude, max(int(size * (1 - share) - 1), 0))
    return tau.sign() * magnitude.clamp(low, high)


def _lower(score: Tensor, ratio: float) -> float:
    return _ranked(score, min(int(score.numel() * (1 - ratio)), score.numel() - 1))


def _scaled(values: Tensor) -> Tensor:
    """Scaled to [0, 1]; 0 where all are equal."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if bool(high > low) else values.new_zeros(values.shape)


def _ranked(values: Tensor, rank: int) -> float:
    """The value of this rank, from 0 for the smallest."""
    return float(values.flatten().kthvalue(rank + 1).values)
