"""Methods that cut changes by their size: breadcrumbs, NearSwap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from evomerge.merging.operators.base import Look, operator
from evomerge.merging.operators.parameters import Lambda, Nothing, WeightDensity
from evomerge.merging.operators.signs import agreeing, total
from evomerge.recipe.signature import Evolve
from evomerge.recipe.value import Value

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["breadcrumbs", "breadcrumbs_ties", "nearswap"]

BREADCRUMBS = "Davari & Belilovsky, Model Breadcrumbs, ECCV 2024, arXiv 2312.06795"


WORTH: dict[str, Evolve] = {
    "weight": (0.0, 1.5),
    "density": (0.05, 0.95),
    "gamma": (0.0, 0.05),
    "lambda": (0.1, 1.0),
}


class WeightDensityGamma(WeightDensity):
    gamma: float = Field(0.01, ge=0.0, lt=1.0)
    """Share of the largest changes that is dropped, as far as `density` still holds."""


class BreadcrumbsOptions(Lambda):
    normalize: bool = False


@operator(
    "breadcrumbs",
    family="elementwise",
    base="origin",
    shared=BreadcrumbsOptions,
    each=WeightDensityGamma,
    citation=BREADCRUMBS,
    evolve={
        "weight": (0.0, 1.5),
        "density": (0.05, 0.95),
        "gamma": (0.0, 0.05),
        "lambda": (0.1, 1.0),
    },
    by_rows=lambda options: True,
)
def breadcrumbs(
    taus: Sequence[Tensor],
    options: BreadcrumbsOptions,
    each: Sequence[WeightDensityGamma],
    look: Look,
) -> Tensor:
    """Drop the largest and the smallest changes of each tensor, add the middle.

    Of D elements the floor(gamma D) largest go, then the floor(density D) largest of the rest stay
    (section 3). The original counts in rows; this counts in tensors, as mergekit does.
    """
    merged = total(_middle(taus, each, look))
    if options.normalize:
        weight = sum(one.weight for one in each)
        merged /= weight if abs(weight) > 1e-8 else 1.0
    return merged * options.lambda_


@operator(
    "breadcrumbs_ties",
    family="elementwise",
    base="origin",
    shared=BreadcrumbsOptions,
    each=WeightDensityGamma,
    citation=f"{BREADCRUMBS}; Yadav et al. 2023",
    evolve={
        "weight": (0.0, 1.5),
        "density": (0.05, 0.95),
        "gamma": (0.0, 0.05),
        "lambda": (0.1, 1.0),
    },
    by_rows=lambda options: True,
)
def breadcrumbs_ties(
    taus: Sequence[Tensor],
    options: BreadcrumbsOptions,
    each: Sequence[WeightDensityGamma],
    look: Look,
) -> Tensor:
    """Drop the largest and the smallest changes, merge the middle where signs agree."""
    parts = _middle(taus, each, look)
    return agreeing(parts, [one.weight for one in each], options.normalize) * options.lambda_


def _middle(taus: Sequence[Tensor], each: Sequence[WeightDensityGamma], look: Look) -> list[Tensor]:
    parts = []
    for i, (tau, one) in enumerate(zip(taus, each, strict=True)):
        size = look.size
        kept = max(1, int(one.density * size + 1e-6))
        top = min(int(one.gamma * size + 1e-6), size - kept)
        part = tau * one.weight
        if kept + top < size:
            part *= look.keep_largest(i, (kept + top) / size)
        if top:
            part *= ~look.keep_largest(i, top / size)
        parts.append(part)
    return parts


class NearswapOptions(Value):
    t: float = Field(ge=0.0)
    """The most that an element moves."""
    relative: bool = False
    """`t` in units of the root mean square of the tensor's change, instead of weight units."""


@operator(
    "nearswap",
    family="elementwise",
    base="origin",
    shared=NearswapOptions,
    each=Nothing,
    most=1,
    citation="alchemonaut, QuartetAnemoi-70B (NearSwap); mergekit 0.1.5",
    evolve={"t": (1e-6, 1e-2, "log")},
    by_rows=lambda options: True,
)
def nearswap(
    taus: Sequence[Tensor], options: NearswapOptions, each: Sequence[Nothing], look: Look
) -> Tensor:
    """Move towards one other model, but no element by more than t.

    th = th_0 + clip(th_1 - th_0, -t, t), which is what mergekit's formula comes to.
    """
    (tau,) = taus
    size = look.norm(0, 2.0) / math.sqrt(look.size) if options.relative else 1.0
    return tau.clamp(-options.t * size, options.t * size)
