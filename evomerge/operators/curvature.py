"""Methods that weigh each element by its curvature: Fisher averaging, OTA, Fast Fisher Grafting."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from evomerge.operators.base import Scope, TensorContext, operator
from evomerge.operators.parameters import Lambda, normalized
from evomerge.value import Value

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ffg", "fisher", "ota"]

Moments = Literal["full", "rank1"]

OTA = "Mahdavinia et al., Curvature-informed model merging, 2025, arXiv 2509.11167"


class FisherOptions(Value):
    """Options of `fisher`."""

    normalize: bool = True
    """Divide each Fisher by its 2-norm over the model: it grows with the examples' length."""
    power: float = Field(1.0, gt=0.0, le=1.0)
    """Exponent of the Fisher information."""


class FisherWeight(Value):
    """Parameters of one input of `fisher`."""

    weight: float = Field(1.0, ge=0.0)
    """Factor of the model's Fisher information."""
    floor: float = Field(1e-3, ge=0.0)
    """Smallest Fisher information of an element, in units of the tensor's mean. Where the Fisher
    information of all models is 0, the mean is taken over the models with a floor above 0."""


@operator(
    "fisher",
    family="statistics",
    base="optional_origin",
    shared=FisherOptions,
    each=FisherWeight,
    citation="Matena & Raffel, Fisher-weighted averaging, NeurIPS 2022, arXiv 2111.09832",
    search_ranges={"weight": (0.0, 1.0), "power": (0.25, 1.0), "floor": (1e-3, 1.0, "log")},
    statistics="fisher",
)
def fisher(
    taus: Sequence[Tensor],
    options: FisherOptions,
    each: Sequence[FisherWeight],
    context: TensorContext,
) -> Tensor:
    """Average each parameter with its diagonal Fisher information as weight.

    th = sum_i w_i F_i o th_i / sum_i w_i F_i (equation 5), which is the same of task vectors;
    F_i over its 2-norm under `normalize`, then to the power `power`. The released code's floor is
    1e-6 whatever the size of F, which for language models is above most of it; here it is relative.
    An element without information of any model is the weighted mean.

    Raises:
        CandidateError: the weights sum to 0.
    """
    weights = normalized([parameters.weight for parameters in each])
    information = []
    for i, (tau, parameters, weight) in enumerate(zip(taus, each, weights, strict=True)):
        values = _measured("fisher", i, tau, context)
        values = values.clamp(min=parameters.floor * float(values.mean()))
        norm = context.statistic_norm(i, "fisher") if options.normalize else 1.0
        information.append((values / (norm or 1.0)).pow_(options.power).mul_(weight))
    return _precise(taus, information, weights)


class Graft(Value):
    """Which elements of a task vector survive: a share of them, or all above a saliency."""

    density: float = Field(1.0, gt=0.0, le=1.0)
    """Share of the elements that is kept, those of highest saliency v tau^2."""
    rho: float | None = Field(None, ge=0.0)
    """The smallest saliency that is kept, as an absolute value, instead of a share."""

    @model_validator(mode="after")
    def _either(self) -> Graft:
        if self.rho is not None and self.density < 1:
            raise ValueError(f"takes rho or a density, got {self.rho:g} and {self.density:g}")
        return self


class Curvature(Lambda):
    """Options that `ota` and `ffg` share."""

    scope: Scope = "global"
    """Where `density` is counted: in each tensor, or in the whole model."""
    moments: Moments = "full"
    """`full`: the second moments as measured; `rank1`: as if only their row and column sums had
    been stored."""


class OtaOptions(Curvature):
    """Options of `ota`."""

    power: float = Field(0.5, gt=0.0, le=1.0)
    """Exponent of the second moment."""
    epsilon: float = Field(1e-6, ge=0.0)
    """Added to the weights, in units of the tensor's mean weight."""
    normalize: bool = False
    """Divide each model's weights by their mean in the tensor: moments of runs with other batch
    sizes or loss scales differ by orders of magnitude."""


class OtaWeight(Graft):
    """Parameters of one input of `ota`."""

    weight: float = Field(1.0, ge=0.0)
    """Factor of the model's curvature."""


@operator(
    "ota",
    family="statistics",
    base="origin",
    shared=OtaOptions,
    each=OtaWeight,
    citation=OTA,
    search_ranges={
        "weight": (0.1, 10.0, "log"),
        "density": (0.05, 1.0),
        "power": (0.25, 1.0),
        "lambda": (0.5, 1.5),
    },
    statistics="second_moment",
)
def ota(
    taus: Sequence[Tensor], options: OtaOptions, each: Sequence[OtaWeight], context: TensorContext
) -> Tensor:
    """Weigh changes by the curvature that Adam's second moments show, those that matter alone.

    th = th_0 + sum_i P_i M_i tau_i / sum_i P_i M_i with P_i = v_i^p and M_i the mask of Fast Fisher
    Grafting (`density` or `rho`; plain OTA without). An element that no mask holds keeps the base.
    The released code finds those by comparing the divisor with an absolute epsilon, which real
    moments (1e-20) never exceed.

    Raises:
        CandidateError: the weights sum to 0.
    """
    shares = normalized([parameters.weight for parameters in each])
    weights, masks = [], []
    for i, (tau, parameters) in enumerate(zip(taus, each, strict=True)):
        moment = _measured("second_moment", i, tau, context)
        weight = _kept(moment, options.moments).pow(options.power)
        mean = float(weight.mean())
        if options.normalize and mean > 0:
            weight, mean = weight / mean, 1.0
        weight = (weight + options.epsilon * mean).mul_(shares[i])
        mask = _grafted(i, tau, parameters, options, context)
        weights.append(weight if mask is None else weight * mask)
        masks.append(mask)
    return _precise(taus, weights, shares, masks).mul_(options.lambda_)


class FfgOptions(Curvature):
    """Options of `ffg`."""

    normalize: bool = True
    """Divide by the sum of the weights."""


class FfgWeight(Graft):
    """Parameters of one input of `ffg`."""

    weight: float = 1.0
    """Coefficient of the elements that are kept."""
    density: float = Field(0.3, gt=0.0, le=1.0)
    """Share of the elements that is kept, those of highest saliency v tau^2."""

    @model_validator(mode="before")
    @classmethod
    def _of_rho(cls, data: object) -> object:
        """`rho` takes the place of the default density."""
        rho = isinstance(data, dict) and data.get("rho") is not None
        return {"density": 1.0, **data} if rho and isinstance(data, dict) else data


@operator(
    "ffg",
    family="statistics",
    base="origin",
    shared=FfgOptions,
    each=FfgWeight,
    citation=OTA,
    search_ranges={"weight": (0.0, 1.5), "density": (0.05, 1.0), "lambda": (0.5, 1.5)},
    statistics="second_moment",
)
def ffg(
    taus: Sequence[Tensor], options: FfgOptions, each: Sequence[FfgWeight], context: TensorContext
) -> Tensor:
    """Graft the changes of highest curvature-weighted size onto the base (Fast Fisher Grafting).

    th = th_0 + sum_i w_i M_i o tau_i, over sum_i w_i under `normalize`, with M_i the elements of
    highest saliency v_i tau_i^2.

    Raises:
        CandidateError: the weights sum to 0 under `normalize`.
    """
    given = [parameters.weight for parameters in each]
    weights = normalized(given) if options.normalize else given
    merged = taus[0].new_zeros(taus[0].shape)
    for i, (tau, parameters) in enumerate(zip(taus, each, strict=True)):
        mask = _grafted(i, tau, parameters, options, context)
        merged.add_(tau if mask is None else tau * mask, alpha=weights[i])
    return merged.mul_(options.lambda_)


@dataclass(frozen=True)
class Saliency:
    """sqrt(v) |tau|: in the order of v tau^2, but real values of that are near float32's end."""

    moments: Moments

    def __call__(self, tau: Tensor, statistic: Callable[[str], Tensor]) -> Tensor:
        if not bool(tau.any()):  # frozen in training, perhaps, and then without moments
            return tau.new_zeros(tau.shape)
        return _kept(statistic("second_moment"), self.moments).sqrt().mul_(tau.abs())


def _grafted(
    i: int, tau: Tensor, graft: Graft, options: Curvature, context: TensorContext
) -> Tensor | None:
    """The mask of task vector `i`; None for all of it."""
    saliency = Saliency(options.moments)
    if graft.rho is not None:
        return saliency(tau, partial(context.statistic, i)) >= math.sqrt(graft.rho)
    if graft.density >= 1:
        return None
    return context.keep_best(i, graft.density, saliency, options.scope)


def _measured(kind: str, i: int, tau: Tensor, context: TensorContext) -> Tensor:
    """The statistics of task vector `i`; zeros for one that was neither changed nor measured."""
    if context.has_statistic(i, kind) or bool(tau.any()):
        return context.statistic(i, kind)
    return tau.new_zeros(tau.shape)


def _kept(moment: Tensor, moments: Moments) -> Tensor:
    """The second moment, as far as it is kept."""
    if moments == "full" or moment.ndim != 2:
        return moment
    total = float(moment.double().sum())
    # Divided first: the product of two sums of 1e-20 is below float32's least number.
    return moment.sum(1).div_(total if total > 0 else 1.0).outer(moment.sum(0))


def _precise(
    taus: Sequence[Tensor],
    weights: Sequence[Tensor],
    shares: Sequence[float],
    masks: Sequence[Tensor | None] | None = None,
) -> Tensor:
    """sum_i W_i tau_i / sum_i W_i; where that is 0 / 0, the mean with the shares of those that the
    masks hold, or 0."""
    top = taus[0].new_zeros(taus[0].shape)
    bottom = top.clone()
    for tau, weight in zip(taus, weights, strict=True):
        top.addcmul_(tau, weight)
        bottom += weight
    known = bottom > 0
    if not bool(known.all()):
        mean = top.new_zeros(top.shape)
        share = top.new_zeros(top.shape)
        for tau, part, mask in zip(taus, shares, masks or [None] * len(taus), strict=True):
            held = tau.new_ones(()) if mask is None else mask.to(tau.dtype)
            mean += tau * held * part
            share += held * part
        top = top.where(known, mean)
        bottom = bottom.where(known, share.where(share > 0, share.new_ones(())))
    return top.div_(bottom)
