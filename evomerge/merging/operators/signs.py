"""Methods that let the experts vote on each element's sign: TIES, consensus masks, EMR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from evomerge.errors import CandidateError, did_you_mean
from evomerge.merging.operators.base import Look, Scope, operator
from evomerge.merging.operators.parameters import Lambda, Nothing, WeightDensity
from evomerge.recipe.value import Value

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["agreeing", "consensus", "emr", "ties", "total"]

Election = Literal["mass", "count"]
"""Which sign wins: that of the weighted sum, or that of most experts."""


class TiesOptions(Lambda):
    normalize: bool = True
    scope: Scope = "tensor"
    """Where `density` is counted; the paper trims over the whole model."""
    sign: Election = "mass"


@operator(
    "ties",
    family="elementwise",
    base="origin",
    shared=TiesOptions,
    each=WeightDensity,
    citation="Yadav et al., TIES-Merging, NeurIPS 2023, arXiv 2306.01708",
    evolve={"weight": (0.1, 2.0), "density": (0.05, 1.0), "lambda": (0.3, 2.0)},
    by_rows=lambda options: True,
)
def ties(
    taus: Sequence[Tensor], options: TiesOptions, each: Sequence[WeightDensity], look: Look
) -> Tensor:
    """Trim small changes, elect a sign per element, average the changes that agree.

    Section 3: trim (exact top-k by magnitude), elect (sign of the weighted sum, 0 counting as
    plus), disjoint mean. Weights enter before the election, as in mergekit.
    """
    parts = [
        tau * one.weight
        if one.density >= 1
        else look.trimmed(i, one.density, options.scope).mul_(one.weight)
        for i, (tau, one) in enumerate(zip(taus, each, strict=True))
    ]
    weights = [one.weight for one in each]
    return agreeing(parts, weights, options.normalize, options.sign) * options.lambda_


def agreeing(
    parts: Sequence[Tensor], weights: Sequence[float], normalize: bool, sign: Election = "mass"
) -> Tensor:
    """Sum of the weighted changes whose sign is the elected one, by the survivors' weight if asked.

    The divisor is the sum of |w|, not of w: otherwise a negative weight would undo itself.
    """
    votes = parts if sign == "mass" else [part.sign() for part in parts]
    # 1 or -1, and 1 where the votes cancel. Masks are floats throughout: mixed types are slow.
    elected = total(votes).sign_().add_(0.5).sign_()
    merged = elected.new_zeros(elected.shape)
    weight = elected.new_zeros(elected.shape)
    for part, one in zip(parts, weights, strict=True):
        agreed = (part * elected).clamp_(min=0)
        merged += agreed
        if normalize:
            weight.add_(agreed.sign_(), alpha=abs(one))
    merged *= elected
    return merged.div_(weight.where(weight > 0, weight.new_ones(()))) if normalize else merged


def total(parts: Sequence[Tensor]) -> Tensor:
    """The sum of tensors, a new one."""
    found = parts[0].clone()
    for part in parts[1:]:
        found += part
    return found


class ConsensusOptions(Lambda):
    k: int = Field(2, ge=0)
    """Experts that must find an element useful; 0 is task arithmetic, 1 drops what serves none."""
    merged: Literal["sum", "ties"] = "sum"
    """What the masks are held against and applied to: the plain sum, or TIES' (20 %, sum)."""


class Threshold(Value):
    threshold: float = Field(0.4, ge=0.0)
    """The paper's lambda_t: how much of the rest's change an expert's own has to exceed."""


@operator(
    "consensus",
    family="elementwise",
    base="origin",
    shared=ConsensusOptions,
    each=Threshold,
    least=2,
    citation="Wang et al., Localizing task information (TALL masks), ICML 2024, arXiv 2405.07813",
    evolve={"threshold": (0.1, 1.0), "lambda": (0.1, 1.0)},
    by_rows=lambda options: True,
)
def consensus(
    taus: Sequence[Tensor], options: ConsensusOptions, each: Sequence[Threshold], look: Look
) -> Tensor:
    """Keep the elements of the summed change that are useful to at least k experts.

    m_i = |tau_i| > threshold_i * |tau_M - tau_i| (equation 4), consensus = sum_i m_i >= k.
    """
    merged = total(taus)
    if options.merged == "ties":
        trimmed = [look.trimmed(i, 0.2) for i in range(len(taus))]
        merged = agreeing(trimmed, [1.0] * len(taus), normalize=False)
    useful = merged.new_zeros(merged.shape)
    for tau, one in zip(taus, each, strict=True):
        useful += tau.abs() > one.threshold * (merged - tau).abs()
    return merged * (useful >= options.k) * options.lambda_


class EmrOptions(Lambda):
    restore: str | None = None
    """An input: its own model, rebuilt from the unified change by its mask and scale."""


def _emr_sizes(
    taus: Sequence[Tensor], options: EmrOptions, each: Sequence[Nothing], look: Look
) -> Mapping[str, float]:
    """Over the model: the sums of |tau_i| and of |M_i o u|, whose ratio is the scale of i."""
    if options.restore is None:
        return {}
    tau = taus[_position(options.restore, look)]
    unified = _unified(taus)
    return {
        "own": float(tau.abs().double().sum()),
        "unified": float((unified.abs() * (tau * unified > 0)).double().sum()),
    }


@operator(
    "emr",
    family="elementwise",
    base="origin",
    shared=EmrOptions,
    each=Nothing,
    least=2,
    citation="Huang et al., EMR-Merging, NeurIPS 2024, arXiv 2405.17461",
    survey=_emr_sizes,
    evolve={"lambda": (0.2, 1.0)},
    by_rows=lambda options: True,
)
def emr(taus: Sequence[Tensor], options: EmrOptions, each: Sequence[Nothing], look: Look) -> Tensor:
    """The largest change among those of the elected sign; or one expert rebuilt from it.

    u = s o max_i |tau_i| over entries of sign s = sgn(sum_i tau_i). With `restore`, that expert is
    g (M o u) with M = tau_i o u > 0 and g = sum |tau_i| / sum |M o u| over all elements.
    """
    unified = _unified(taus)
    if options.restore is None:
        return unified * options.lambda_
    tau = taus[_position(options.restore, look)]
    sizes = look.surveyed[0]
    scale = sizes["own"] / sizes["unified"] if sizes["unified"] > 0 else 0.0
    return unified * (tau * unified > 0) * (scale * options.lambda_)


def _unified(taus: Sequence[Tensor]) -> Tensor:
    summed = total(taus)
    sign = (summed > 0).to(summed.dtype) * 2 - 1
    largest = summed.new_zeros(summed.shape)
    for tau in taus:
        largest = largest.maximum(tau * sign)
    return largest * sign


def _position(name: str, look: Look) -> int:
    if name not in look.names:
        raise CandidateError(f"emr: restore names {name!r}; {did_you_mean(name, look.names)}")
    return list(look.names).index(name)
