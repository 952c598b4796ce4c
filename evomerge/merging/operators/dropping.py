"""Methods that drop changes at random and rescale the rest: DARE, DELLA."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from evomerge.merging.operators.base import Look, operator
from evomerge.merging.operators.parameters import Lambda, WeightDensity
from evomerge.merging.operators.signs import agreeing, total

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["dare_linear", "dare_ties", "della", "della_linear"]

DARE = "Yu et al., Language models are super Mario (DARE), ICML 2024, arXiv 2311.03099"
DELLA = "Deep et al., DELLA-Merging, 2024, arXiv 2406.11617"

Rescale = Literal["inverse_keep", "l1", "none"]
"""`inverse_keep`: by the keep probability (papers); `l1`: to the tensor's L1 norm (mergekit)."""


class DropOptions(Lambda):
    normalize: bool = False
    rescale: Rescale = "inverse_keep"


class DellaOptions(Lambda):
    normalize: bool = True
    rescale: Rescale = "inverse_keep"


class WeightDensityEpsilon(WeightDensity):
    density: float = Field(0.7, gt=0.0, le=1.0)
    epsilon: float = Field(0.15, ge=0.0, lt=0.5)
    """Half the width of the keep probabilities around `density` (half the paper's window)."""

    @model_validator(mode="after")
    def _inside(self) -> WeightDensityEpsilon:
        if not (self.epsilon == 0 or self.epsilon < self.density < 1 - self.epsilon):
            raise ValueError(
                f"needs epsilon < density < 1 - epsilon, got density {self.density:g} and"
                f" epsilon {self.epsilon:g}"
            )
        return self


def _by_rows(options: DropOptions | DellaOptions) -> bool:
    """The L1 norm is the whole tensor's."""
    return options.rescale != "l1"


@operator(
    "dare_linear",
    family="elementwise",
    base="origin",
    shared=DropOptions,
    each=WeightDensity,
    citation=DARE,
    evolve={"weight": (0.0, 1.5), "density": (0.1, 1.0)},
    by_rows=_by_rows,
)
def dare_linear(
    taus: Sequence[Tensor], options: DropOptions, each: Sequence[WeightDensity], look: Look
) -> Tensor:
    """Drop changes at random, rescale the rest, add them (DARE on task arithmetic)."""
    return _summed(_dropped(taus, options.rescale, each, look), each, options)


@operator(
    "dare_ties",
    family="elementwise",
    base="origin",
    shared=DropOptions,
    each=WeightDensity,
    citation=f"{DARE}; Yadav et al. 2023",
    evolve={"weight": (0.0, 1.5), "density": (0.1, 1.0)},
    by_rows=_by_rows,
)
def dare_ties(
    taus: Sequence[Tensor], options: DropOptions, each: Sequence[WeightDensity], look: Look
) -> Tensor:
    """Drop changes at random, rescale the rest, merge those that agree in sign (DARE-TIES)."""
    parts = _dropped(taus, options.rescale, each, look)
    return agreeing(parts, [one.weight for one in each], options.normalize) * options.lambda_


@operator(
    "della",
    family="elementwise",
    base="origin",
    shared=DellaOptions,
    each=WeightDensityEpsilon,
    citation=DELLA,
    evolve={"weight": (0.1, 2.0), "density": (0.2, 0.8), "lambda": (0.5, 1.5)},
    by_rows=_by_rows,
)
def della(
    taus: Sequence[Tensor], options: DellaOptions, each: Sequence[WeightDensityEpsilon], look: Look
) -> Tensor:
    """Drop changes at random, small ones rather, rescale the rest, merge those that agree in sign.

    MagPrune (section 3.1): in a row of n, the change of magnitude rank q (0 is the smallest) is
    kept with probability density - epsilon + 2 epsilon q / (n - 1) and divided by it. Then TIES'
    election and weighted mean.
    """
    parts = _pruned(taus, options.rescale, each, look)
    return agreeing(parts, [one.weight for one in each], options.normalize) * options.lambda_


@operator(
    "della_linear",
    family="elementwise",
    base="origin",
    shared=DropOptions,
    each=WeightDensityEpsilon,
    citation=DELLA,
    evolve={"weight": (0.0, 1.5), "density": (0.2, 0.8), "lambda": (0.5, 1.5)},
    by_rows=_by_rows,
)
def della_linear(
    taus: Sequence[Tensor], options: DropOptions, each: Sequence[WeightDensityEpsilon], look: Look
) -> Tensor:
    """DELLA's random drop by magnitude, and a plain sum of what is left."""
    return _summed(_pruned(taus, options.rescale, each, look), each, options)


def _summed(parts: Sequence[Tensor], each: Sequence[WeightDensity], options: DropOptions) -> Tensor:
    merged = total(parts)
    if options.normalize:
        weight = sum(one.weight for one in each)
        merged /= weight if abs(weight) > 1e-8 else 1.0
    return merged * options.lambda_


def _dropped(
    taus: Sequence[Tensor], rescale: Rescale, each: Sequence[WeightDensity], look: Look
) -> list[Tensor]:
    """w_i * m_i o tau_i, rescaled: E[m o tau / density] = tau (DARE, equation 2)."""
    return [
        tau * one.weight
        if one.density >= 1
        else _rescaled(tau, look.keep_random(i, one.density), one.density, rescale) * one.weight
        for i, (tau, one) in enumerate(zip(taus, each, strict=True))
    ]


def _pruned(
    taus: Sequence[Tensor], rescale: Rescale, each: Sequence[WeightDensityEpsilon], look: Look
) -> list[Tensor]:
    parts = []
    for i, (tau, one) in enumerate(zip(taus, each, strict=True)):
        keep = _keep_by_rank(tau, one.density, one.epsilon)
        parts.append(_rescaled(tau, look.keep_random(i, keep), keep, rescale) * one.weight)
    return parts


def _keep_by_rank(tau: Tensor, density: float, epsilon: float) -> Tensor:
    """The keep probabilities, in the shape of `tau`; a row is the last axis."""
    width = tau.shape[-1] if tau.ndim else 1
    if width == 1:
        return tau.new_full(tau.shape, density)
    ranks = tau.abs().argsort(dim=-1, stable=True).argsort(dim=-1).to(tau.dtype)
    return ranks * (2 * epsilon / (width - 1)) + (density - epsilon)


def _rescaled(tau: Tensor, mask: Tensor, keep: float | Tensor, rescale: Rescale) -> Tensor:
    kept = tau.where(mask, tau.new_zeros(()))
    match rescale:
        case "inverse_keep":
            return kept / keep
        case "l1":
            left = float(kept.abs().sum())
            return kept * (float(tau.abs().sum()) / left if left > 0 else 1.0)
        case "none":
            return kept
