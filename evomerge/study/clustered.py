"""Means over examples that come from fewer sources: questions about one text, say.

Examples of one source are alike, so that they tell less than as many of their own would. The
variance of a mean is then taken between sources and not between examples (Miller 2024,
arXiv:2411.00640, section 2.2), in the form that few and unequal sources need: Bell and McCaffrey's
bias-reduced one with Satterthwaite's degrees of freedom (2002, Surv. Methodol. 28:169; Imbens and
Kolesár 2016, Rev. Econ. Stat. 98:701), written out for a mean. With sources of one size it is
Student's t over the sources' means.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CONFIDENCE",
    "ROUNDING",
    "Clusters",
    "Spread",
    "are_shared",
    "clustered_mean",
    "is_binary",
    "quantile",
    "spread",
    "sums",
]

CONFIDENCE = 0.95

ROUNDING = 1e-12
"""An error no larger than this comes of rounding: all sources are alike."""

Clusters = Sequence[Hashable]
"""Of each example, which source it comes from."""


@dataclass(frozen=True)
class Spread:
    """How far a mean over examples may lie from the true one."""

    error: float
    """Its standard error; infinite where there is one source."""
    freedom: float
    """Degrees of freedom of that error, at least 1."""
    sources: int


def are_shared(clusters: Clusters | None) -> bool:
    """Whether some examples share a source: otherwise they are plain examples."""
    return clusters is not None and len(set(clusters)) < len(clusters)


def sums(values: NDArray[np.float64], clusters: Clusters) -> NDArray[np.float64]:
    """The sum of each source's values, by the sources' first examples."""
    return np.bincount(_numbered(clusters), weights=values).astype(np.float64)


def spread(values: NDArray[np.float64], clusters: Clusters) -> Spread:
    """The standard error of the mean of `values` (examples,), and its degrees of freedom.

    With h = a source's share of the examples and e = the sum of its examples' distances from the
    mean, the variance is the sum of e² / (1 - h) over the sources, divided by examples².

    Raises:
        ValueError: not as many clusters as values.
    """
    if len(clusters) != len(values):
        raise ValueError(f"{len(values)} examples cannot have {len(clusters)} sources")
    numbers = _numbered(clusters)
    share = np.bincount(numbers) / len(values)
    if len(share) < 2:
        return Spread(math.inf, 1.0, len(share))
    apart = np.bincount(numbers, weights=values - values.mean())
    error = math.sqrt(float((apart**2 / (1 - share)).sum())) / len(values)
    crossed = share**2 / (1 - share)
    trace = (share**2).sum() + crossed.sum() ** 2 - (crossed**2).sum()
    return Spread(error, max(1.0, 1.0 / float(trace)), len(share))


def clustered_mean(values: NDArray[np.float64], clusters: Clusters) -> tuple[float, float, int]:
    """(low, high, sources): the 95 % interval of the mean of examples that share sources.

    As `mean_interval` has it, which is what callers want.
    """
    own, mean = spread(values, clusters), float(values.mean())
    t = quantile(own.freedom)
    if not is_binary(values):
        margin = t * own.error
        return mean - margin, mean + margin, own.sources
    # As many examples of their own as would vary so much; never more than there are.
    n = float(own.sources)
    if own.error > ROUNDING:
        n = min(mean * (1 - mean) / own.error**2, float(len(values)))
    if n == 0:  # one source
        return 0.0, 1.0, own.sources
    square = t**2 / n
    centre = (mean + square / 2) / (1 + square)
    margin = math.sqrt(mean * (1 - mean) * square + square**2 / 4) / (1 + square)
    return max(centre - margin, 0.0), min(centre + margin, 1.0), own.sources


def quantile(freedom: float) -> float:
    """Student's t that a 95 % interval reaches to on each side."""
    from scipy import stats  # takes a second, and most commands judge nothing

    return float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom))


def is_binary(values: NDArray[np.float64]) -> bool:
    """Whether each value is 0 or 1."""
    return bool(np.isin(values, (0.0, 1.0)).all())


def _numbered(clusters: Clusters) -> NDArray[np.intp]:
    """The sources as numbers from 0, by their first examples."""
    known: dict[Hashable, int] = {}
    return np.asarray([known.setdefault(name, len(known)) for name in clusters], dtype=np.intp)
