"""Methods that let the experts vote on each element's sign: TIES, consensus masks, EMR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from evomerge.errors import CandidateError, did_you_mean
from evomerge.operators.base import KernelPlan, Scope, TensorContext, operator
from evomerge.operators.masks import kept, nonzero, signed
from evomerge.operators.parameters import Lambda, Nothing, WeightDensity, taken
from evomerge.recipe.signature import Taken
from evomerge.value import Value

if TYPE_CHECKING:
    from torch import Tensor

    from evomerge.operators.selection import Threshold

    Numbers = Mapping[str, Sequence[Tensor]]

__all__ = [
    "EVERYTHING",
    "agreeing",
    "consensus",
    "elected",
    "emr",
    "majority",
    "ties",
    "total",
    "trimmed",
]

Election = Literal["mass", "count"]
"""Which sign wins: that of the weighted sum, or that of most experts."""

EVERYTHING = -1.0
"""The limit of a cut that lets every magnitude through."""


class TiesOptions(Lambda):
    """Options of `ties`."""

    normalize: bool = True
    """Divide each element by the weights of the experts that agree there (the paper's disjoint
    mean); otherwise the changes are summed."""
    scope: Scope = "tensor"
    """Where `density` is counted: in each tensor, or in the whole model (the paper)."""
    sign: Election = "mass"
    """How the sign of an element is elected: `mass`: sign of the weighted sum; `count`: sign
    that most experts have."""


def _ties_plan(
    options: TiesOptions, each: Sequence[WeightDensity], context: TensorContext
) -> KernelPlan:
    cuts: list[float | Threshold] = [
        EVERYTHING if parameters.density >= 1 else context.cut(i, parameters.density, options.scope)
        for i, parameters in enumerate(each)
    ]
    return KernelPlan(
        numbers={
            "cut": cuts,
            "weight": [parameters.weight for parameters in each],
            "lambda": [options.lambda_],
        },
        switches=(options.normalize, options.sign),
    )


def elected(options: Lambda, each: Sequence[WeightDensity], *, mean: bool) -> Taken:
    """The one operand that votes, where all of its change passes; `mean`: over the votes' weight,
    as which a lone weight above 0 is 1."""
    coefficients = [float(own.weight > 0) if mean else own.weight for own in each]
    chosen = taken([options.lambda_ * coefficient for coefficient in coefficients], over_base=True)
    is_lone = all(own.weight == 0 or own.density >= 1 for own in each) and not any(
        own.weight < 0 for own in each
    )
    return chosen if is_lone else None


def _ties_sole(options: TiesOptions, each: Sequence[WeightDensity]) -> Taken:
    return elected(options, each, mean=options.normalize)


@operator(
    "ties",
    family="elementwise",
    base="origin",
    shared=TiesOptions,
    each=WeightDensity,
    citation="Yadav et al., TIES-Merging, NeurIPS 2023, arXiv 2306.01708",
    search_ranges={"weight": (0.1, 2.0), "density": (0.05, 1.0), "lambda": (0.3, 2.0)},
    plan=_ties_plan,
    sole=_ties_sole,
)
def ties(taus: Sequence[Tensor], numbers: Numbers, normalize: bool, sign: Election) -> Tensor:
    """Trim small changes, elect a sign per element, average the changes that agree.

    Section 3: trim (exact top-k by magnitude), elect (sign of the weighted sum, 0 counting as
    plus), disjoint mean. Weights enter before the election, as in mergekit.
    """
    parts = [
        trimmed(tau, cut) * weight
        for tau, cut, weight in zip(taus, numbers["cut"], numbers["weight"], strict=True)
    ]
    votes = parts if sign == "mass" else [part.sign() for part in parts]
    weights = numbers["weight"] if normalize else None
    return agreeing(parts, majority(votes), weights) * numbers["lambda"][0]


def trimmed(tau: Tensor, cut: Tensor) -> Tensor:
    """`tau` where its magnitude is above the cut, 0 elsewhere."""
    return kept(tau, tau.abs() > cut)


def majority(votes: Sequence[Tensor]) -> Tensor:
    """Boolean: where plus is elected, also where the votes cancel."""
    return total(votes) >= 0


def agreeing(parts: Sequence[Tensor], positive: Tensor, weights: Sequence[Tensor] | None) -> Tensor:
    """Sum of the weighted changes of the elected sign, over the survivors' weight if weights are
    given.

    The divisor is the sum of |w|, not of w: otherwise a negative weight would undo itself.
    """
    agreed = [signed(part, positive) > 0 for part in parts]
    merged = total([kept(part, agrees) for part, agrees in zip(parts, agreed, strict=True)])
    if weights is None:
        return merged
    shares = [kept(weight.abs(), agrees) for weight, agrees in zip(weights, agreed, strict=True)]
    return merged / nonzero(total(shares))


def total(parts: Sequence[Tensor]) -> Tensor:
    """The sum of tensors, a new one."""
    summed = parts[0].clone()
    for part in parts[1:]:
        summed += part
    return summed


class ConsensusOptions(Lambda):
    """Options of `consensus`."""

    k: int = Field(2, ge=0)
    """Number of experts that must find an element useful; 0 gives task arithmetic, 1 drops what
    no expert uses."""
    merged: Literal["sum", "ties"] = "sum"
    """The merged change that the masks are computed from and applied to: the plain sum, or that
    of TIES (density 20 %, summed)."""


class UsefulnessThreshold(Value):
    """Parameters of one input of `consensus`."""

    threshold: float = Field(0.4, ge=0.0)
    """The paper's lambda_t: an element is useful to the expert where its own change exceeds this
    many times that of the other experts."""


def _consensus_plan(
    options: ConsensusOptions, each: Sequence[UsefulnessThreshold], context: TensorContext
) -> KernelPlan:
    cuts: list[float | Threshold] = [
        context.cut(i, 0.2) if options.merged == "ties" else EVERYTHING for i in range(len(each))
    ]
    return KernelPlan(
        numbers={
            "cut": cuts,
            "threshold": [parameters.threshold for parameters in each],
            "k": [float(options.k)],
            "lambda": [options.lambda_],
        },
        switches=(options.merged,),
    )


@operator(
    "consensus",
    family="elementwise",
    base="origin",
    shared=ConsensusOptions,
    each=UsefulnessThreshold,
    min_inputs=2,
    citation="Wang et al., Localizing task information (TALL masks), ICML 2024, arXiv 2405.07813",
    search_ranges={"threshold": (0.1, 1.0), "lambda": (0.1, 1.0)},
    plan=_consensus_plan,
)
def consensus(
    taus: Sequence[Tensor], numbers: Numbers, merged_by: Literal["sum", "ties"]
) -> Tensor:
    """Keep the elements of the summed change that are useful to at least k experts.

    m_i = |tau_i| > threshold_i * |tau_M - tau_i| (equation 4), consensus = sum_i m_i >= k.
    """
    merged = total(taus)
    if merged_by == "ties":
        parts = [trimmed(tau, cut) for tau, cut in zip(taus, numbers["cut"], strict=True)]
        merged = agreeing(parts, majority(parts), None)
    useful = total(
        [
            (tau.abs() > threshold * (merged - tau).abs()).to(tau.dtype)
            for tau, threshold in zip(taus, numbers["threshold"], strict=True)
        ]
    )
    return kept(merged, useful >= numbers["k"][0]) * numbers["lambda"][0]


class EmrOptions(Lambda):
    """Options of `emr`."""

    restore: str | None = None
    """Name of an input whose own model is rebuilt from the unified change by its mask and scale;
    left out: the unified model."""


def _emr_sizes(
    taus: Sequence[Tensor], options: EmrOptions, each: Sequence[Nothing], context: TensorContext
) -> Mapping[str, float]:
    """Over the model: the sums of |tau_i| and of |M_i o u|, whose ratio is the scale of i."""
    if options.restore is None:
        return {}
    tau = taus[_position(options.restore, context)]
    unified = _unified(taus)
    return {
        "own": float(tau.abs().double().sum()),
        "unified": float(kept(unified, tau.sign() == unified.sign()).abs().double().sum()),
    }


def _emr_plan(options: EmrOptions, each: Sequence[Nothing], context: TensorContext) -> KernelPlan:
    scale, restored = options.lambda_, None
    if options.restore is not None:
        sizes = context.surveyed[0]
        scale *= sizes["own"] / sizes["unified"] if sizes["unified"] > 0 else 0.0
        restored = _position(options.restore, context)
    return KernelPlan(numbers={"scale": [scale]}, switches=(restored,))


@operator(
    "emr",
    family="elementwise",
    base="origin",
    shared=EmrOptions,
    each=Nothing,
    min_inputs=2,
    citation="Huang et al., EMR-Merging, NeurIPS 2024, arXiv 2405.17461",
    survey=_emr_sizes,
    search_ranges={"lambda": (0.2, 1.0)},
    plan=_emr_plan,
)
def emr(taus: Sequence[Tensor], numbers: Numbers, restored: int | None) -> Tensor:
    """The largest change among those of the elected sign; or one expert rebuilt from it.

    u = s o max_i |tau_i| over entries of sign s = sgn(sum_i tau_i). With `restore`, that expert is
    g (M o u) with M = tau_i o u > 0 and g = sum |tau_i| / sum |M o u| over all elements.
    """
    unified = _unified(taus)
    if restored is not None:
        # By sign: a product of tiny changes would be 0.
        unified = kept(unified, taus[restored].sign() == unified.sign())
    return unified * numbers["scale"][0]


def _unified(taus: Sequence[Tensor]) -> Tensor:
    positive = total(taus) > 0
    largest = signed(taus[0], positive).clamp(min=0.0)
    for tau in taus[1:]:
        largest = largest.maximum(signed(tau, positive))
    return signed(largest, positive)


def _position(name: str, context: TensorContext) -> int:
    if name not in context.names:
        raise CandidateError(f"emr: restore names {name!r}; {did_you_mean(name, context.names)}")
    return list(context.names).index(name)
