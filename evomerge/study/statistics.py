"""How sure a score is, and whether one model beats another on the same examples.

Scores of 0 and 1 get the methods made for proportions, which stay honest near 0 and 1 and with few
examples; graded scores get Student's t, which needs no seed and whose coverage is near nominal from
some thirty examples on, where a bootstrap would be no better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from evomerge.value import Value

__all__ = [
    "CONFIDENCE",
    "Difference",
    "Interval",
    "combined_difference",
    "combined_interval",
    "holm",
    "mean_interval",
    "paired_difference",
]

CONFIDENCE = 0.95
RESAMPLES = 9999

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

    def __str__(self) -> str:
        return f"{self.mean:+.3f} ({self.low:+.3f} to {self.high:+.3f}), p = {self.p:.2g}"


def mean_interval(scores: Scores) -> Interval:
    """The mean of per-example scores with its 95 % interval.

    0/1 scores: Wilson's score interval (Wilson 1927, J. Am. Stat. Assoc. 22). Graded scores:
    Student's t.

    Raises:
        ValueError: no scores.
    """
    values = _checked(scores)
    mean, n = float(values.mean()), len(values)
    if _is_binary(values):
        test = _stats().binomtest(int(values.sum()), n)
        wilson = test.proportion_ci(CONFIDENCE, method="wilson")
        return Interval(mean=mean, low=float(wilson.low), high=float(wilson.high), examples=n)
    margin = _t_margin(values)
    return Interval(mean=mean, low=mean - margin, high=mean + margin, examples=n)


def paired_difference(a: Scores, b: Scores, *, seed: int = 0) -> Difference:
    """How far model a is ahead of model b on the same examples, in the same order.

    0/1 scores: the interval of Bonett and Price (2012, J. Educ. Behav. Stat. 37:479), a Wald
    interval with one success and one failure added, recommended by Fagerland, Lydersen and Laake
    (2014, Stat. Med. 33:2850); and McNemar's exact test. Graded scores: Student's t on the
    differences, and a permutation test that flips their signs, all ways for few examples and
    9,999 ways drawn with `seed` otherwise.

    Raises:
        ValueError: no scores, or not as many of a as of b.
    """
    first, second = _checked(a), _checked(b)
    if len(first) != len(second):
        raise ValueError(f"scores of {len(first)} and {len(second)} examples cannot be paired")
    gains = first - second
    low, high = _paired_interval(first, second)
    if _is_binary(first) and _is_binary(second):
        p, test = _mcnemar(gains), "McNemar's exact test"
    else:
        p, test = _sign_flips(gains, seed), "paired permutation test"
    return Difference(
        mean=float(gains.mean()), low=low, high=high, p=p, test=test, examples=len(gains)
    )


def combined_interval(parts: Sequence[tuple[float, Scores]]) -> Interval:
    """The sum of factor x mean over several groups of examples, with its 95 % interval.

    `parts`: (factor, scores) of each group. The groups' own intervals are joined by the method of
    variance estimates recovery (Zou and Donner 2008, Stat. Med. 27:1693), which needs no normal
    approximation of a sum; one group keeps its own.

    Raises:
        ValueError: no groups, or one without scores.
    """
    own = [(factor, mean_interval(scores)) for factor, scores in parts]
    mean, low, high = _recovered(
        [(factor, interval.mean, interval.low, interval.high) for factor, interval in own]
    )
    return Interval(
        mean=mean, low=low, high=high, examples=sum(interval.examples for _, interval in own)
    )


def combined_difference(
    parts: Sequence[tuple[float, Scores, Scores]], *, seed: int = 0
) -> Difference:
    """How far model a is ahead of model b in the sum of factor x mean over groups of examples.

    `parts`: (factor, a's scores, b's) of each group. One group: as `paired_difference`, times the
    factor. Several: the interval as `combined_interval` joins those of the groups' differences, and
    a permutation test that flips the signs of the single differences, each with the weight that it
    has in the sum.

    Raises:
        ValueError: no groups, one without scores, or not as many of a as of b.
    """
    if len(parts) == 1:
        ((factor, a, b),) = parts
        own = paired_difference(a, b, seed=seed)
        mean, low, high = _recovered([(factor, own.mean, own.low, own.high)])
        return own.model_copy(update={"mean": mean, "low": low, "high": high})
    ranges, gains = [], []
    for factor, a, b in parts:
        first, second = _checked(a), _checked(b)
        if len(first) != len(second):
            raise ValueError(f"scores of {len(first)} and {len(second)} examples cannot be paired")
        mean = float((first - second).mean())
        ranges.append((factor, mean, *_paired_interval(first, second)))
        gains.append(factor / len(first) * (first - second))
    mean, low, high = _recovered(ranges)
    joined = np.concatenate(gains)
    return Difference(
        mean=mean,
        low=low,
        high=high,
        p=_sign_flips(joined, seed),
        test="paired permutation test over all tasks",
        examples=len(joined),
    )


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """p-values corrected for being several (Holm 1979, Scand. J. Stat. 6:65), in the same order."""
    count = len(p_values)
    corrected = [0.0] * count
    largest = 0.0
    for rank, index in enumerate(sorted(range(count), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (count - rank) * p_values[index]))
        corrected[index] = largest
    return tuple(corrected)


def _checked(scores: Scores) -> NDArray[np.float64]:
    values = np.asarray(scores, dtype=np.float64)
    if values.size == 0:
        raise ValueError("there are no scores")
    return values


def _stats() -> Any:
    """scipy.stats, loaded when a score is first judged: it takes a second, and most commands judge
    none."""
    from scipy import stats

    return stats


def _is_binary(values: NDArray[np.float64]) -> bool:
    return bool(np.isin(values, (0.0, 1.0)).all())


def _t_margin(values: NDArray[np.float64]) -> float:
    n = len(values)
    if n < 2:
        return math.inf
    quantile = float(_stats().t.ppf((1 + CONFIDENCE) / 2, n - 1))
    return quantile * float(values.std(ddof=1)) / math.sqrt(n)


def _paired_interval(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> tuple[float, float]:
    gains = first - second
    if _is_binary(first) and _is_binary(second):
        return _bonett_price(gains)
    margin, mean = _t_margin(gains), float(gains.mean())
    return mean - margin, mean + margin


def _recovered(
    parts: Sequence[tuple[float, float, float, float]],
) -> tuple[float, float, float]:
    """(estimate, low, high) of a sum of independent ones; (factor, estimate, low, high) of each."""
    if not parts:
        raise ValueError("there are no scores")
    total = sum(factor * mean for factor, mean, _, _ in parts)
    if len(parts) == 1:  # to the last digit
        ((factor, mean, *ends),) = parts
        low, high = sorted(factor * end for end in ends)
        return total, low, high
    below = above = 0.0
    for factor, mean, low, high in parts:
        down, up = sorted((factor * (low - mean), factor * (high - mean)))
        below, above = math.hypot(below, down), math.hypot(above, up)
    return total, total - below, total + above


def _bonett_price(gains: NDArray[np.float64]) -> tuple[float, float]:
    n = len(gains) + 2
    wins, losses = (int((gains > 0).sum()) + 1) / n, (int((gains < 0).sum()) + 1) / n
    centre = wins - losses
    quantile = float(_stats().norm.ppf((1 + CONFIDENCE) / 2))
    margin = quantile * math.sqrt((wins + losses - centre**2) / n)
    return max(centre - margin, -1.0), min(centre + margin, 1.0)


def _mcnemar(gains: NDArray[np.float64]) -> float:
    wins, losses = int((gains > 0).sum()), int((gains < 0).sum())
    if wins + losses == 0:
        return 1.0
    return float(_stats().binomtest(wins, wins + losses, 0.5).pvalue)


def _sign_flips(gains: NDArray[np.float64], seed: int) -> float:
    # scipy.stats.permutation_test gives the same and takes twenty times as long.
    n = len(gains)
    if 2**n <= RESAMPLES:
        kept = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        return _as_extreme(gains, kept.astype(np.float64)) / float(2**n)
    chance = np.random.default_rng(seed)
    hits, left = 0, RESAMPLES
    while left:
        rows = min(left, max(1, 1_000_000 // n))
        kept = chance.integers(0, 2, size=(rows, n), dtype=np.int8)
        hits += _as_extreme(gains, kept.astype(np.float64))
        left -= rows
    return (hits + 1) / (RESAMPLES + 1)


def _as_extreme(gains: NDArray[np.float64], kept: NDArray[np.float64]) -> int:
    """How many rows of `kept` (1: the sign stays, 0: it flips) move the sum as far from 0."""
    total = gains.sum()
    rounding = 1e-9 * np.abs(gains).sum()
    return int((np.abs(2 * (kept @ gains) - total) >= abs(total) - rounding).sum())
