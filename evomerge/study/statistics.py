"""How sure a score is, and whether one model beats another on the same examples.

Scores of 0 and 1 get the methods made for proportions, which stay honest near 0 and 1 and with few
examples; graded scores get Student's t, which needs no seed and whose coverage is near nominal from
some thirty examples on, where a bootstrap would be no better. Where examples share a source, both
give way to what counts by source (`evomerge.study.clustered`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from evomerge.study.clustered import (
    CONFIDENCE,
    ROUNDING,
    Clusters,
    are_shared,
    clustered_mean,
    is_binary,
    quantile,
    spread,
    sums,
)
from evomerge.study.significance import mcnemar, sign_flips
from evomerge.value import Value

__all__ = [
    "CONFIDENCE",
    "Difference",
    "Interval",
    "Scores",
    "checked",
    "mean_interval",
    "paired_difference",
    "paired_interval",
]

Scores = Sequence[float]


class _Estimate(Value):
    # One graded example bounds nothing: its interval is infinite, and still a value to keep.
    model_config = ConfigDict(allow_inf_nan=True, ser_json_inf_nan="strings")


class Interval(_Estimate):
    """A mean over examples and the interval that holds the true mean with 95 % confidence."""

    mean: float
    low: float
    high: float
    examples: int
    sources: int | None = Field(default=None, exclude_if=lambda held: held is None)
    """How many the examples come from, where some share one."""

    def __str__(self) -> str:
        return f"{self.mean:.3f} ({self.low:.3f} to {self.high:.3f})"


class Difference(_Estimate):
    """Mean of a's scores minus b's, example by example, with its 95 % interval.

    `p`: how likely a difference this large would be if both were equally good (two-sided).
    """

    mean: float
    low: float
    high: float
    p: float
    test: str
    examples: int
    sources: int | None = Field(default=None, exclude_if=lambda held: held is None)
    """How many the examples come from, where some share one."""

    def __str__(self) -> str:
        return f"{self.mean:+.3f} ({self.low:+.3f} to {self.high:+.3f}), p = {self.p:.2g}"


def mean_interval(scores: Scores, clusters: Clusters | None = None) -> Interval:
    """The mean of per-example scores with its 95 % interval.

    0/1 scores: Wilson's score interval (Wilson 1927, J. Am. Stat. Assoc. 22). Graded scores:
    Student's t. Where examples share a source: the same two with the variance between sources; of
    0/1 scores Wilson's over as many examples as would vary so much (Korn and Graubard 1998, Surv.
    Methodol. 24:193), over the sources alone where all examples are alike.

    Args:
        clusters: of each example its source; None: each has its own.

    Raises:
        ValueError: no scores, or not as many clusters.
    """
    values = checked(scores)
    mean, n = float(values.mean()), len(values)
    if clusters is not None and are_shared(clusters):
        low, high, sources = clustered_mean(values, clusters)
        return Interval(mean=mean, low=low, high=high, examples=n, sources=sources)
    if is_binary(values):
        test = _stats().binomtest(int(values.sum()), n)
        wilson = test.proportion_ci(CONFIDENCE, method="wilson")
        return Interval(mean=mean, low=float(wilson.low), high=float(wilson.high), examples=n)
    margin = _t_margin(values)
    return Interval(mean=mean, low=mean - margin, high=mean + margin, examples=n)


def paired_difference(
    a: Scores, b: Scores, *, clusters: Clusters | None = None, seed: int = 0
) -> Difference:
    """How far model a is ahead of model b on the same examples, in the same order.

    0/1 scores: the interval of Bonett and Price (2012, J. Educ. Behav. Stat. 37:479), a Wald
    interval with one success and one failure added, recommended by Fagerland, Lydersen and Laake
    (2014, Stat. Med. 33:2850); and McNemar's exact test. Graded scores: Student's t on the
    differences, and a permutation test that flips their signs, all ways for few examples and
    9,999 ways drawn with `seed` otherwise. Where examples share a source: Student's t with the
    variance between sources, and the permutation test flips all of a source's signs at once.

    Args:
        clusters: of each example its source; None: each has its own.

    Raises:
        ValueError: no scores, or not as many of a as of b, or of clusters.
    """
    first, second = checked(a), checked(b)
    if len(first) != len(second):
        raise ValueError(f"scores of {len(first)} and {len(second)} examples cannot be paired")
    gains = first - second
    low, high, sources = paired_interval(first, second, clusters)
    if clusters is not None and sources is not None:
        p, test = sign_flips(sums(gains, clusters), seed), "paired permutation test by source"
    elif is_binary(first) and is_binary(second):
        p, test = mcnemar(gains), "McNemar's exact test"
    else:
        p, test = sign_flips(gains, seed), "paired permutation test"
    return Difference(
        mean=float(gains.mean()),
        low=low,
        high=high,
        p=p,
        test=test,
        examples=len(gains),
        sources=sources,
    )


def checked(scores: Scores) -> NDArray[np.float64]:
    """Scores as an array (examples,).

    Raises:
        ValueError: there are none.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.size == 0:
        raise ValueError("there are no scores")
    return values


def _stats() -> Any:
    """scipy.stats, loaded when a score is first judged: it takes a second, and most commands judge
    none."""
    from scipy import stats

    return stats


def _t_margin(values: NDArray[np.float64]) -> float:
    n = len(values)
    if n < 2:
        return math.inf
    return quantile(n - 1) * float(values.std(ddof=1)) / math.sqrt(n)


def paired_interval(
    first: NDArray[np.float64], second: NDArray[np.float64], clusters: Clusters | None
) -> tuple[float, float, int | None]:
    """(low, high, sources) of the mean difference's 95 % interval; as `paired_difference` has it.

    `sources`: None where no examples share one.
    """
    gains, binary = first - second, is_binary(first) and is_binary(second)
    mean, sources = float(gains.mean()), None
    if clusters is not None and are_shared(clusters):
        own = spread(gains, clusters)
        sources = own.sources
        if binary and own.error <= ROUNDING:  # sources are alike: as over so many examples
            return (*_bonett_price(gains, sources), sources)
        margin = quantile(own.freedom) * own.error
    elif binary:
        return (*_bonett_price(gains), None)
    else:
        margin = _t_margin(gains)
    low, high = mean - margin, mean + margin
    return (max(low, -1.0), min(high, 1.0), sources) if binary else (low, high, sources)


def _bonett_price(gains: NDArray[np.float64], examples: int | None = None) -> tuple[float, float]:
    """`examples`: how many of their own tell as much; None: all of them."""
    own = len(gains) if examples is None else examples
    n = own + 2
    wins, losses = (
        (own * int(which.sum()) / len(gains) + 1) / n for which in (gains > 0, gains < 0)
    )
    centre = wins - losses
    normal = float(_stats().norm.ppf((1 + CONFIDENCE) / 2))
    margin = normal * math.sqrt((wins + losses - centre**2) / n)
    return max(centre - margin, -1.0), min(centre + margin, 1.0)
