"""Methods that cut changes by their size: breadcrumbs, NearSwap."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from evomerge.operators.base import KernelPlan, TensorContext, operator
from evomerge.operators.masks import kept
from evomerge.operators.parameters import Lambda, Nothing, WeightDensity, divisor
from evomerge.operators.signs import EVERYTHING, agreeing, majority, total, trimmed
from evomerge.recipe.signature import SearchRange
from evomerge.value import Value

if TYPE_CHECKING:
    from torch import Tensor

    from evomerge.operators.selection import Threshold

    Numbers = Mapping[str, Sequence[Tensor]]

__all__ = ["breadcrumbs", "breadcrumbs_ties", "nearswap"]

BREADCRUMBS = "Davari & Belilovsky, Model Breadcrumbs, ECCV 2024, arXiv 2312.06795"
NOTHING_ABOVE = math.inf
"""The limit of a cut above which there is nothing."""


SEARCH_RANGES: dict[str, SearchRange] = {
    "weight": (0.0, 1.5),
    "density": (0.05, 0.95),
    "gamma": (0.0, 0.05),
    "lambda": (0.1, 1.0),
}


class WeightDensityGamma(WeightDensity):
    """Parameters of one input of `breadcrumbs` and `breadcrumbs_ties`."""

    gamma: float = Field(0.01, ge=0.0, lt=1.0)
    """Share of the elements that is dropped as too large, as long as `density` can still be
    kept."""


class BreadcrumbsOptions(Lambda):
    """Options of `breadcrumbs` and `breadcrumbs_ties`."""

    normalize: bool = False
    """Divide by the sum of the weights."""
    scope: Literal["tensor", "row"] = "tensor"
    """Where shares are counted: in each tensor (mergekit), or in each row, the last axis (the
    paper)."""


def _plan(
    options: BreadcrumbsOptions, each: Sequence[WeightDensityGamma], context: TensorContext
) -> KernelPlan:
    weights = [parameters.weight for parameters in each]
    numbers: dict[str, Sequence[float | Threshold]] = {
        "weight": weights,
        "factor": [options.lambda_ / (divisor(weights) if options.normalize else 1.0)],
        "lambda": [options.lambda_],
    }
    if options.scope == "row":
        taus = context.taus()
        stays = [
            _stays_in_rows(tau, parameters) for tau, parameters in zip(taus, each, strict=True)
        ]
        return KernelPlan(
            numbers=numbers, elements={"kept": stays}, switches=(True, options.normalize)
        )
    cuts = [_cuts(i, parameters, context) for i, parameters in enumerate(each)]
    numbers |= {"lower": [lower for lower, _ in cuts], "upper": [upper for _, upper in cuts]}
    return KernelPlan(numbers=numbers, switches=(False, options.normalize))


def _shares(parameters: WeightDensityGamma, size: int) -> tuple[int, int]:
    """How many of `size` elements stay, and how many larger ones go."""
    stay = max(1, int(parameters.density * size + 1e-6))
    return stay, min(int(parameters.gamma * size + 1e-6), size - stay)


def _cuts(
    i: int, parameters: WeightDensityGamma, context: TensorContext
) -> tuple[float | Threshold, float | Threshold]:
    stay, top = _shares(parameters, context.size)
    lower = context.cut(i, (stay + top) / context.size) if stay + top < context.size else EVERYTHING
    return lower, context.cut(i, top / context.size) if top else NOTHING_ABOVE


def _stays_in_rows(tau: Tensor, parameters: WeightDensityGamma) -> Tensor:
    """Boolean: what stays when every row is counted on its own; of equal ones the first stay."""
    rows = tau.reshape(1, -1) if tau.ndim < 2 else tau
    stay, top = _shares(parameters, rows.shape[-1])
    ranks = rows.abs().argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)
    return ((ranks >= top) & (ranks < stay + top)).reshape(tau.shape)


@operator(
    "breadcrumbs",
    family="elementwise",
    base="origin",
    shared=BreadcrumbsOptions,
    each=WeightDensityGamma,
    citation=BREADCRUMBS,
    search_ranges=SEARCH_RANGES,
    plan=_plan,
)
def breadcrumbs(taus: Sequence[Tensor], numbers: Numbers, by_rows: bool, normalize: bool) -> Tensor:
    """Drop the largest and the smallest changes of each tensor, add the middle.

    Of D elements the floor(gamma D) largest go, then the floor(density D) largest of the rest stay
    (section 3). The original counts in rows; this counts in tensors, as mergekit does, unless
    `scope` says `row`.
    """
    return total(_middle(taus, numbers, by_rows)) * numbers["factor"][0]


@operator(
    "breadcrumbs_ties",
    family="elementwise",
    base="origin",
    shared=BreadcrumbsOptions,
    each=WeightDensityGamma,
    citation=f"{BREADCRUMBS}; Yadav et al. 2023",
    search_ranges=SEARCH_RANGES,
    plan=_plan,
)
def breadcrumbs_ties(
    taus: Sequence[Tensor], numbers: Numbers, by_rows: bool, normalize: bool
) -> Tensor:
    """Drop the largest and the smallest changes, merge the middle where signs agree."""
    parts = _middle(taus, numbers, by_rows)
    weights = numbers["weight"] if normalize else None
    return agreeing(parts, majority(parts), weights) * numbers["lambda"][0]


def _middle(taus: Sequence[Tensor], numbers: Numbers, by_rows: bool) -> list[Tensor]:
    if by_rows:
        middle = [kept(tau, stays) for tau, stays in zip(taus, numbers["kept"], strict=True)]
    else:
        middle = [
            kept(trimmed(tau, lower), tau.abs() <= upper)
            for tau, lower, upper in zip(taus, numbers["lower"], numbers["upper"], strict=True)
        ]
    return [part * weight for part, weight in zip(middle, numbers["weight"], strict=True)]


class NearswapOptions(Value):
    """Options of `nearswap`."""

    t: float = Field(ge=0.0)
    """The largest distance that an element moves."""
    relative: bool = False
    """`t` in units of the root mean square of the tensor's change, instead of weight units."""


def _nearswap_plan(
    options: NearswapOptions, each: Sequence[Nothing], context: TensorContext
) -> KernelPlan:
    size = context.norm(0, 2.0) / math.sqrt(context.size) if options.relative else 1.0
    return KernelPlan(numbers={"t": [options.t * size]})


@operator(
    "nearswap",
    family="elementwise",
    base="origin",
    shared=NearswapOptions,
    each=Nothing,
    max_inputs=1,
    citation="alchemonaut, QuartetAnemoi-70B (NearSwap); mergekit 0.1.5",
    search_ranges={"t": (1e-6, 1e-2, "log")},
    plan=_nearswap_plan,
)
def nearswap(taus: Sequence[Tensor], numbers: Numbers) -> Tensor:
    """Move towards one other model, but no element by more than t.

    th = th_0 + clip(th_1 - th_0, -t, t), which is what mergekit's formula comes to.
    """
    (tau,) = taus
    limit = numbers["t"][0]
    return tau.minimum(limit).maximum(-limit)
