"""Weighted sums of weights or of task vectors, with the weights given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from evomerge.operators.base import TensorContext, operator
from evomerge.operators.parameters import Lambda, Nothing, Weight, divided, normalized, taken
from evomerge.recipe.signature import Taken
from evomerge.value import Value

__all__ = ["linear", "mwa", "negate", "task_arithmetic", "uniform_soup"]

SOUPS = "Wortsman et al., Model soups, ICML 2022, arXiv 2203.05482"
EDITING = "Ilharco et al., Editing models with task arithmetic, ICLR 2023, arXiv 2212.04089"


class LinearOptions(Value):
    """Options of `linear`."""

    normalize: bool = True
    """Divide by the sum of the weights."""


def _linear_sole(options: LinearOptions, each: Sequence[Weight]) -> Taken:
    weights = [parameters.weight for parameters in each]
    return taken(_shares(weights) if options.normalize else weights)


def _shares(weights: Sequence[float]) -> Sequence[float]:
    """The weights over their sum; as they are where it vanishes, which no merge accepts."""
    total = math.fsum(weights)
    return [weight / total for weight in weights] if total else weights


@operator(
    "linear",
    family="span",
    base="none",
    shared=LinearOptions,
    each=Weight,
    citation=SOUPS,
    search_ranges={"weight": (0.0, 1.0)},
    sole=_linear_sole,
)
def linear(options: LinearOptions, each: Sequence[Weight], context: TensorContext) -> list[float]:
    """Weighted mean of the weights (model soup).

    th = sum_i w_i th_i, divided by sum_i w_i if `normalize`.

    Raises:
        CandidateError: the weights sum to 0 under `normalize`.
    """
    weights = [parameters.weight for parameters in each]
    return normalized(weights) if options.normalize else weights


@operator("uniform_soup", family="span", base="none", shared=Nothing, each=Nothing, citation=SOUPS)
def uniform_soup(options: Nothing, each: Sequence[Nothing], context: TensorContext) -> list[float]:
    """Plain mean of the weights (uniform soup, section 2)."""
    return [1.0 / len(each)] * len(each)


class TaskArithmeticOptions(Lambda):
    """Options of `task_arithmetic`."""

    normalize: bool = False
    """Divide by the sum of the weights."""


def _task_arithmetic_sole(options: TaskArithmeticOptions, each: Sequence[Weight]) -> Taken:
    weights: Sequence[float] = [parameters.weight for parameters in each]
    weights = _shares(weights) if options.normalize else weights
    return taken([options.lambda_ * weight for weight in weights], over_base=True)


@operator(
    "task_arithmetic",
    family="span",
    base="origin",
    shared=TaskArithmeticOptions,
    each=Weight,
    citation=EDITING,
    search_ranges={"weight": (-0.5, 1.5), "lambda": (0.1, 1.5)},
    sole=_task_arithmetic_sole,
)
def task_arithmetic(
    options: TaskArithmeticOptions, each: Sequence[Weight], context: TensorContext
) -> list[float]:
    """Scaled task vectors added to the base.

    th = th_0 + lambda * sum_i w_i tau_i; `normalize` divides by sum_i w_i, as in mergekit.
    """
    weights = [parameters.weight for parameters in each]
    if options.normalize:
        weights = normalized(weights)
    return [options.lambda_ * weight for weight in weights]


class NegateOptions(Value):
    """Options of `negate`."""

    lambda_: float = Field(0.5, alias="lambda", ge=0.0)
    """Factor of the change that is subtracted."""


@operator(
    "negate",
    family="span",
    base="origin",
    shared=NegateOptions,
    each=Nothing,
    citation=EDITING,
    search_ranges={"lambda": (0.0, 1.5)},
)
def negate(options: NegateOptions, each: Sequence[Nothing], context: TensorContext) -> list[float]:
    """Forget what the inputs were trained on: their task vectors, subtracted.

    th = th_0 - lambda * sum_i (th_i - th_0). The base has to be the checkpoint from which the
    training on what is to be forgotten started; from another one, nest it: the anchor's
    difference is then a `task_arithmetic` with weights 1 and -1.
    """
    return [-options.lambda_] * len(each)


class MwaOptions(Value):
    """Options of `mwa` and `mwa_factors`."""

    power: float = Field(1.0, ge=0.0)
    """Exponent of the metric: 0 gives the plain mean, a large value only the best checkpoint."""
    better: Literal["lower", "higher"] = "higher"
    """Which metric is better: a loss (`lower`), a score or a training step (`higher`)."""


class Metric(Value):
    """What was measured of one checkpoint."""

    metric: float = Field(gt=0.0)
    """The metric of this checkpoint: its loss, its score or its training step."""


@operator(
    "mwa",
    family="span",
    base="none",
    shared=MwaOptions,
    each=Metric,
    citation="in the spirit of Yu & Choi, Metrics-weighted averaging, 2025, arXiv 2504.18580",
    search_ranges={"power": (0.0, 16.0)},
)
def mwa(options: MwaOptions, each: Sequence[Metric], context: TensorContext) -> list[float]:
    """Mean of checkpoints weighted by a metric of each: its loss, its step or its score.

    a_i = m_i^p / sum_j m_j^p with m_i the metric, or 1 over it where lower is better. The formula
    is evomerge's: the paper's could not be read.
    """
    best = max(measured.metric for measured in each)
    lowest = min(measured.metric for measured in each)
    ratios = [
        measured.metric / best if options.better == "higher" else lowest / measured.metric
        for measured in each
    ]
    return divided([ratio**options.power for ratio in ratios])
