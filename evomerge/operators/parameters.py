"""What most methods take: a weight, a density, lambda; and dividing by the weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import Field

from evomerge.errors import CandidateError
from evomerge.recipe.signature import Taken
from evomerge.value import Value

ROUNDING = 1e-9

__all__ = [
    "Lambda",
    "Nothing",
    "Weight",
    "WeightDensity",
    "divided",
    "divisor",
    "normalized",
    "taken",
]


class Nothing(Value):
    """A method that takes no parameters of this sort."""


class Weight(Value):
    """One coefficient per input."""

    weight: float
    """Coefficient of this input."""


class WeightDensity(Value):
    """A coefficient, and the share of the task vector's elements that is kept."""

    weight: float
    """Coefficient of this input."""
    density: float = Field(1.0, gt=0.0, le=1.0)
    """Share of the task vector's elements that is kept."""


class Lambda(Value):
    """The factor of the merged change."""

    lambda_: float = Field(1.0, alias="lambda")
    """Factor of the merged change before it is added to the base."""


def normalized(weights: Sequence[float]) -> list[float]:
    """The weights over their sum.

    Raises:
        CandidateError: they sum to 0.
    """
    total = math.fsum(weights)
    if abs(total) <= 1e-8 * max(map(abs, weights), default=0.0) or total == 0.0:
        raise CandidateError(f"the weights {list(weights)} sum to 0 and cannot be normalised")
    return [weight / total for weight in weights]


def divided(scores: Sequence[float]) -> list[float]:
    """Scores, none negative, over their sum; equal shares where all are 0."""
    total = math.fsum(scores)
    return [score / total if total > 0 else 1.0 / len(scores) for score in scores]


def divisor(weights: Sequence[float]) -> float:
    """The sum of the weights, by which mergekit's sums are divided; 1 where it vanishes."""
    total = math.fsum(weights)
    return total if abs(total) > 1e-8 else 1.0


def taken(coefficients: Sequence[float], *, over_base: bool = False) -> Taken:
    """The operand whose coefficient is 1 while all others are 0, but for rounding of a float64.

    `over_base`: they multiply changes of the base, which is the result where all of them are 0.
    """
    left = [i for i, coefficient in enumerate(coefficients) if abs(coefficient) > ROUNDING]
    if not left:
        return "base" if over_base else None
    (first, *others) = left
    return first if not others and abs(coefficients[first] - 1) <= ROUNDING else None
