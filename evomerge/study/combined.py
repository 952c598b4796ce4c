"""Sums of means over several groups of examples, with interval and test: what an objective is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from evomerge.study.clustered import Clusters, sums
from evomerge.study.significance import sign_flips
from evomerge.study.statistics import (
    Difference,
    Interval,
    Scores,
    checked,
    mean_interval,
    paired_difference,
    paired_interval,
)

__all__ = ["combined_difference", "combined_interval"]


def combined_interval(
    parts: Sequence[tuple[float, Scores]], clusters: Sequence[Clusters | None] | None = None
) -> Interval:
    """The sum of factor x mean over several groups of examples, with its 95 % interval.

    `parts`: (factor, scores) of each group; `clusters`: of each group its examples' sources. The
    groups' own intervals are joined by the method of variance estimates recovery (Zou and Donner
    2008, Stat. Med. 27:1693), which needs no normal approximation of a sum; one group keeps its
    own.

    Raises:
        ValueError: no groups, or one without scores.
    """
    shared = _by_part(parts, clusters)
    own = [
        (factor, mean_interval(scores, held))
        for (factor, scores), held in zip(parts, shared, strict=True)
    ]
    mean, low, high = _recovered(
        [(factor, interval.mean, interval.low, interval.high) for factor, interval in own]
    )
    return Interval(
        mean=mean,
        low=low,
        high=high,
        examples=sum(interval.examples for _, interval in own),
        sources=_all_sources([(interval.examples, interval.sources) for _, interval in own]),
    )


def combined_difference(
    parts: Sequence[tuple[float, Scores, Scores]],
    *,
    clusters: Sequence[Clusters | None] | None = None,
    seed: int = 0,
) -> Difference:
    """How far model a is ahead of model b in the sum of factor x mean over groups of examples.

    `parts`: (factor, a's scores, b's) of each group; `clusters`: of each group its examples'
    sources. One group: as `paired_difference`, times the factor. Several: the interval as
    `combined_interval` joins those of the groups' differences, and a permutation test that flips
    the signs of the single differences, or of a source's together, each with the weight that it has
    in the sum.

    Raises:
        ValueError: no groups, one without scores, or not as many of a as of b.
    """
    shared = _by_part(parts, clusters)
    if len(parts) == 1:
        ((factor, a, b),) = parts
        own = paired_difference(a, b, clusters=shared[0], seed=seed)
        mean, low, high = _recovered([(factor, own.mean, own.low, own.high)])
        return own.model_copy(update={"mean": mean, "low": low, "high": high})
    ranges, gains, counts = [], [], []
    for (factor, a, b), held in zip(parts, shared, strict=True):
        first, second = checked(a), checked(b)
        if len(first) != len(second):
            raise ValueError(f"scores of {len(first)} and {len(second)} examples cannot be paired")
        mean = float((first - second).mean())
        low, high, sources = paired_interval(first, second, held)
        ranges.append((factor, mean, low, high))
        weighed = factor / len(first) * (first - second)
        gains.append(weighed if held is None or sources is None else sums(weighed, held))
        counts.append((len(first), sources))
    mean, low, high = _recovered(ranges)
    joined = np.concatenate(gains)
    return Difference(
        mean=mean,
        low=low,
        high=high,
        p=sign_flips(joined, seed),
        test="paired permutation test over all tasks",
        examples=sum(examples for examples, _ in counts),
        sources=_all_sources(counts),
    )


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


def _by_part(
    parts: Sequence[object], clusters: Sequence[Clusters | None] | None
) -> Sequence[Clusters | None]:
    return [None] * len(parts) if clusters is None else clusters


def _all_sources(counts: Sequence[tuple[int, int | None]]) -> int | None:
    """Of several groups' (examples, sources): an example without a shared one is its own source."""
    if all(sources is None for _, sources in counts):
        return None
    return sum(examples if sources is None else sources for examples, sources in counts)
