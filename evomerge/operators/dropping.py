"""Methods that drop changes at random and rescale the rest: DARE, DELLA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from evomerge.operators.base import Bernoulli, KernelPlan, TensorContext, operator
from evomerge.operators.masks import kept
from evomerge.operators.parameters import Lambda, WeightDensity, divisor, taken
from evomerge.operators.signs import agreeing, elected, majority, total
from evomerge.recipe.signature import Taken

if TYPE_CHECKING:
    from torch import Tensor

    Numbers = Mapping[str, Sequence[Tensor]]

__all__ = ["dare_linear", "dare_ties", "della", "della_linear"]

DARE = "Yu et al., Language models are super Mario (DARE), ICML 2024, arXiv 2311.03099"
DELLA = "Deep et al., DELLA-Merging, 2024, arXiv 2406.11617"

Rescale = Literal["inverse_keep", "l1", "none"]
"""`inverse_keep`: by the keep probability (papers); `l1`: to the tensor's L1 norm (mergekit)."""


class DropOptions(Lambda):
    """Options of `dare_linear`, `dare_ties` and `della_linear`."""

    normalize: bool = False
    """Divide by the sum of the weights."""
    rescale: Rescale = "inverse_keep"
    """What the kept changes are multiplied by: `inverse_keep`: 1 / keep probability (the
    papers); `l1`: so that the tensor's L1 norm stays the same (mergekit); `none`: 1."""


class DellaOptions(Lambda):
    """Options of `della`."""

    normalize: bool = True
    """Divide by the sum of the weights."""
    rescale: Rescale = "inverse_keep"
    """What the kept changes are multiplied by: `inverse_keep`: 1 / keep probability (the paper);
    `l1`: so that the tensor's L1 norm stays the same (mergekit); `none`: 1."""


class WeightDensityEpsilon(WeightDensity):
    """Parameters of one input of `della` and `della_linear`."""

    density: float = Field(0.7, gt=0.0, le=1.0)
    """Mean share of the changes that is kept."""
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


def _dare_plan(
    options: DropOptions, each: Sequence[WeightDensity], context: TensorContext
) -> KernelPlan:
    """E[m o tau / density] = tau (DARE, equation 2): `scale` is weight and rescaling together."""
    weights = [parameters.weight for parameters in each]
    factors = [
        _rescaling(i, parameters, options.rescale, context) for i, parameters in enumerate(each)
    ]
    return KernelPlan(
        numbers={
            "keep": [Bernoulli(parameters.density) for parameters in each],
            "scale": [weight * factor for weight, factor in zip(weights, factors, strict=True)],
            "weight": weights,
            "factor": [options.lambda_ / (divisor(weights) if options.normalize else 1.0)],
            "lambda": [options.lambda_],
        },
        random=True,
        switches=(options.normalize,),
    )


def _rescaling(
    i: int, parameters: WeightDensity, rescale: Rescale, context: TensorContext
) -> float:
    if parameters.density >= 1:
        return 1.0
    match rescale:
        case "inverse_keep":
            return 1.0 / parameters.density
        case "none":
            return 1.0
        case "l1":
            keep = Bernoulli(parameters.density)

            def left() -> float:
                return _l1(kept(context.taus()[i], context.draws(i) <= context.limit(keep)))

            return _ratio(
                context.norm(i, 1.0),
                context.memoise(("kept", i, parameters.density, context.seed), left),
            )


def _l1(tensor: Tensor) -> float:
    return float(tensor.abs().double().sum())


def _ratio(before: float, after: float) -> float:
    return before / after if after > 0 else 1.0


def _linear_sole(options: DropOptions, each: Sequence[WeightDensity]) -> Taken:
    if any(own.density < 1 and own.weight != 0 for own in each):
        return None
    weights = [own.weight for own in each]
    factor = options.lambda_ / (divisor(weights) if options.normalize else 1.0)
    return taken([factor * weight for weight in weights], over_base=True)


def _ties_sole(options: DropOptions, each: Sequence[WeightDensity]) -> Taken:
    return elected(options, each, mean=options.normalize)


@operator(
    "dare_linear",
    family="elementwise",
    base="origin",
    shared=DropOptions,
    each=WeightDensity,
    citation=DARE,
    search_ranges={"weight": (0.0, 1.5), "density": (0.1, 1.0)},
    plan=_dare_plan,
    sole=_linear_sole,
)
def dare_linear(taus: Sequence[Tensor], numbers: Numbers, normalize: bool) -> Tensor:
    """Drop changes at random, rescale the rest, add them (DARE on task arithmetic)."""
    return total(_dropped(taus, numbers)) * numbers["factor"][0]


@operator(
    "dare_ties",
    family="elementwise",
    base="origin",
    shared=DropOptions,
    each=WeightDensity,
    citation=f"{DARE}; Yadav et al. 2023",
    search_ranges={"weight": (0.0, 1.5), "density": (0.1, 1.0)},
    plan=_dare_plan,
    sole=_ties_sole,
)
def dare_ties(taus: Sequence[Tensor], numbers: Numbers, normalize: bool) -> Tensor:
    """Drop changes at random, rescale the rest, merge those that agree in sign (DARE-TIES)."""
    return _elected(_dropped(taus, numbers), numbers, normalize)


def _dropped(taus: Sequence[Tensor], numbers: Numbers) -> list[Tensor]:
    return [
        kept(tau, draws <= keep) * scale
        for tau, draws, keep, scale in zip(
            taus, numbers["draws"], numbers["keep"], numbers["scale"], strict=True
        )
    ]


def _elected(parts: Sequence[Tensor], numbers: Numbers, normalize: bool) -> Tensor:
    weights = numbers["weight"] if normalize else None
    return agreeing(parts, majority(parts), weights) * numbers["lambda"][0]


def _della_plan(
    options: DellaOptions | DropOptions,
    each: Sequence[WeightDensityEpsilon],
    context: TensorContext,
) -> KernelPlan:
    """keep = floor + slope * rank within the row (DELLA, section 3.1)."""
    width = context.shape[-1] if context.shape else 1
    weights = [parameters.weight for parameters in each]
    ranks = [context.ranks(i) for i in range(len(each))]
    ladders = [_ladder(parameters, width) for parameters in each]
    factors = [
        _della_rescaling(i, parameters, ladders[i], ranks[i], context)
        if options.rescale == "l1"
        else 1.0
        for i, parameters in enumerate(each)
    ]
    return KernelPlan(
        numbers={
            "floor": [floor for floor, _ in ladders],
            "slope": [slope for _, slope in ladders],
            "scale": [weight * factor for weight, factor in zip(weights, factors, strict=True)],
            "weight": weights,
            "factor": [options.lambda_ / (divisor(weights) if options.normalize else 1.0)],
            "lambda": [options.lambda_],
        },
        elements={"rank": ranks},
        random=True,
        switches=(options.normalize, options.rescale == "inverse_keep"),
    )


def _ladder(parameters: WeightDensityEpsilon, width: int) -> tuple[float, float]:
    """The keep probability of the smallest change in a row, and what each rank adds."""
    if width == 1:
        return parameters.density, 0.0
    return parameters.density - parameters.epsilon, 2 * parameters.epsilon / (width - 1)


def _della_rescaling(
    i: int,
    parameters: WeightDensityEpsilon,
    ladder: tuple[float, float],
    ranks: Tensor,
    context: TensorContext,
) -> float:
    def left() -> float:
        tau = context.taus()[i]
        floor, slope = (tau.new_tensor(value) for value in ladder)
        return _l1(kept(tau, _uniform(context.draws(i)) < ranks.to(tau.dtype) * slope + floor))

    asked = ("kept by rank", i, parameters.density, parameters.epsilon, context.seed)
    return _ratio(context.norm(i, 1.0), context.memoise(asked, left))


@operator(
    "della",
    family="elementwise",
    base="origin",
    shared=DellaOptions,
    each=WeightDensityEpsilon,
    citation=DELLA,
    search_ranges={"weight": (0.1, 2.0), "density": (0.2, 0.8), "lambda": (0.5, 1.5)},
    plan=_della_plan,
)
def della(taus: Sequence[Tensor], numbers: Numbers, normalize: bool, inverse_keep: bool) -> Tensor:
    """Drop changes at random, small ones rather, rescale the rest, merge those that agree in sign.

    MagPrune (section 3.1): in a row of n, the change of magnitude rank q (0 is the smallest) is
    kept with probability density - epsilon + 2 epsilon q / (n - 1) and divided by it. Then TIES'
    election and weighted mean.
    """
    return _elected(_pruned(taus, numbers, inverse_keep), numbers, normalize)


@operator(
    "della_linear",
    family="elementwise",
    base="origin",
    shared=DropOptions,
    each=WeightDensityEpsilon,
    citation=DELLA,
    search_ranges={"weight": (0.0, 1.5), "density": (0.2, 0.8), "lambda": (0.5, 1.5)},
    plan=_della_plan,
)
def della_linear(
    taus: Sequence[Tensor], numbers: Numbers, normalize: bool, inverse_keep: bool
) -> Tensor:
    """DELLA's random drop by magnitude, and a plain sum of what is left."""
    return total(_pruned(taus, numbers, inverse_keep)) * numbers["factor"][0]


def _pruned(taus: Sequence[Tensor], numbers: Numbers, inverse_keep: bool) -> list[Tensor]:
    parts = []
    for i, tau in enumerate(taus):
        rank = numbers["rank"][i].to(tau.dtype)
        keep = rank * numbers["slope"][i] + numbers["floor"][i]
        part = kept(tau, _uniform(numbers["draws"][i]) < keep)
        parts.append((part / keep if inverse_keep else part) * numbers["scale"][i])
    return parts


def _uniform(draws: Tensor) -> Tensor:
    """float32 in [0, 1), in steps of 2^-24, for int32 draws."""
    return (draws >> 8).float() * 2.0**-24 + 0.5
