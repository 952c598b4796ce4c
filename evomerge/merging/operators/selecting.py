"""Methods that weigh experts by where they differ or agree: SCE, PCB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from evomerge.merging.operators.base import Look, operator
from evomerge.merging.operators.parameters import Lambda, Nothing, divided
from evomerge.merging.operators.signs import total
from evomerge.recipe.value import Value

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["pcb", "sce"]


class SceOptions(Lambda):
    select_topk: float = Field(1.0, gt=0.0, le=1.0)
    """Share of the positions, among those where the experts differ, that is selected."""
    select_scope: Literal["all", "weights_only"] = "all"
    """`all`: what is not selected is not merged (mergekit); `weights_only`: the selection only
    weighs the experts (the authors' code)."""


@operator(
    "sce",
    family="elementwise",
    base="origin",
    shared=SceOptions,
    each=Nothing,
    citation="Wan et al., FuseChat (SCE), 2024, arXiv 2408.07990",
    evolve={"select_topk": (0.05, 1.0), "lambda": (0.5, 1.5)},
)
def sce(taus: Sequence[Tensor], options: SceOptions, each: Sequence[Nothing], look: Look) -> Tensor:
    """Select where experts differ most, weigh each by its energy there, erase minority signs.

    Select: the top share of positions by variance over experts. Calculate: a_i = the energy of
    tau_i there over the sum of energies. Erase: entries against the sign of sum_i tau_i. Merge:
    the weighted mean of what is left. Every comparison is relative: mergekit's absolute 1e-6 makes
    its weights equal on ordinary task vectors.
    """
    chosen = _most_different(taus, options.select_topk, look)
    selected = taus if chosen is None else [tau * chosen for tau in taus]
    shares = divided([float(tau.double().square().sum()) for tau in selected])
    used = selected if options.select_scope == "all" else taus
    sign = (total(used) >= 0).to(taus[0].dtype) * 2 - 1
    merged = sign.new_zeros(sign.shape)
    weight = sign.new_zeros(sign.shape)
    for tau, share in zip(used, shares, strict=True):
        agrees = (tau.sign() == sign) * share
        merged += tau * agrees
        weight += agrees
    return merged / weight.where(weight > 0, weight.new_ones(())) * options.lambda_


def _most_different(taus: Sequence[Tensor], share: float, look: Look) -> Tensor | None:
    """The positions of largest variance; None for all of them."""
    if share >= 1 or len(taus) == 1:
        return None
    mean = total(taus) / len(taus)
    variance = total([(tau - mean).square() for tau in taus])
    differing = int((variance > 0).sum())
    return look.largest(variance, max(1, int(share * differing + 1e-6))) if differing else None


class PcbOptions(Lambda):
    ratio: float = Field(0.1, gt=0.0, le=1.0)
    """Share of the elements that is kept of each expert."""
    clip: float = Field(0.0, ge=0.0, lt=0.5)
    """Magnitudes are held to their [clip, 1 - clip] quantiles first."""
    variant: Literal["raw", "norm"] = "raw"
    """What an element is compared with: the sum of the changes, or of their scaled magnitudes."""


class PcbWeight(Value):
    weight: float = 1.0


@operator(
    "pcb",
    family="elementwise",
    base="origin",
    shared=PcbOptions,
    each=PcbWeight,
    least=2,
    citation="Du et al., Parameter Competition Balancing, NeurIPS 2024, arXiv 2410.02396",
    evolve={"ratio": (0.02, 0.5, "log"), "weight": (0.5, 2.0)},
)
def pcb(
    taus: Sequence[Tensor], options: PcbOptions, each: Sequence[PcbWeight], look: Look
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
    for tau, kept, size, one in zip(taus, clipped, sizes, each, strict=True):
        score = (size.square() * len(taus)).exp() * (tau * others).tanh()
        score = _scaled(score.clamp(min=_lower(score, options.ratio)))
        merged += kept * score * one.weight
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
