"""Whether a difference between two models on the same examples may be chance.

p-values are two-sided: how likely a difference at least as large would be, if both were equally
good.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["holm", "mcnemar", "sign_flips"]

RESAMPLES = 9999


def mcnemar(gains: NDArray[np.float64]) -> float:
    """McNemar's exact test. `gains` (examples,): 1, 0 or -1 each."""
    from scipy import stats  # takes a second, and most commands judge nothing

    wins, losses = int((gains > 0).sum()), int((gains < 0).sum())
    if wins + losses == 0:
        return 1.0
    return float(stats.binomtest(wins, wins + losses, 0.5).pvalue)


def sign_flips(gains: NDArray[np.float64], seed: int) -> float:
    """The permutation test that flips the signs of the gains (n,), each by itself: all ways for few
    of them, and 9,999 ways drawn with `seed` otherwise."""
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


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """p-values corrected for being several (Holm 1979, Scand. J. Stat. 6:65), in the same order."""
    count = len(p_values)
    corrected = [0.0] * count
    largest = 0.0
    for rank, index in enumerate(sorted(range(count), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (count - rank) * p_values[index]))
        corrected[index] = largest
    return tuple(corrected)


def _as_extreme(gains: NDArray[np.float64], kept: NDArray[np.float64]) -> int:
    """How many rows of `kept` (1: the sign stays, 0: it flips) move the sum as far from 0."""
    total = gains.sum()
    rounding = 1e-9 * np.abs(gains).sum()
    return int((np.abs(2 * (kept @ gains) - total) >= abs(total) - rounding).sum())
