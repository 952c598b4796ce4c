"""The margin of CMA-ES with margin: no choice's probability ever falls to 0.

Hamano et al. 2022, "CMA-ES with Margin: Lower-Bounding Marginal Probability for Mixed-Integer
Black-Box Optimization", GECCO, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

__all__ = ["Margin"]

Array = NDArray[np.float64]

# Phi and the quantile of 1 - p. The standard library's: SciPy would be imported with the registry.
_below = np.vectorize(NormalDist().cdf, otypes=[float])
_quantile = np.vectorize(lambda p: -NormalDist().inv_cdf(p), otypes=[float])


class Margin:
    """Coordinates of which each is cut into equal intervals of [0, 1], the outer two without end.

    `min_probability` is the paper's alpha: where the mean lies in an outer interval, the rest has
    at least this probability; where it lies in an inner one, each side at least half of it.
    """

    def __init__(self, sizes: Sequence[int], min_probability: float) -> None:
        self._sizes = np.array(sizes, dtype=int)
        self._min_probability = min_probability
        self._stretch = np.ones(len(sizes))

    def stretched(self, x: Array, mean: Array) -> Array:
        """What is cut, for a sample `x` (coordinates,) around `mean`: the paper's affine map A."""
        return mean + self._stretch * (x - mean)

    def corrected(self, mean: Array, std: Array) -> Array:
        """The mean (coordinates,) after an update, moved so that the margin holds (eq. 10 to 20).

        Also sets the stretch of samples to come. `std`: standard deviations without the stretch.
        """
        place = np.clip(np.floor(mean * self._sizes), 0, self._sizes - 1)
        low = np.clip(place, 1, self._sizes - 1) / self._sizes
        high = np.clip(place + 1, 1, self._sizes - 1) / self._sizes
        outer = low == high
        # Outer interval: the mean stays within reach of the one threshold.
        reach = std * self._stretch * _quantile(self._min_probability)
        near = np.clip(mean, low - reach, high + reach)
        # Inner interval: both sides get what they lack, in proportion from what has it to spare.
        spread = std * self._stretch
        below, above = _below((low - mean) / spread), _below((mean - high) / spread)
        between = 1 - below - above
        half = self._min_probability / 2
        short = ~outer & (np.minimum(below, above) < half)
        below, above = np.maximum(below, half), np.maximum(above, half)
        total = below + between + above
        excess = (1 - total) / np.where(short, total - 3 * half, 1)
        below, above = below + excess * (below - half), above + excess * (above - half)
        # At least half of `min_probability`, and less than one half: the rest is the mean's own.
        z_below = _quantile(np.clip(below, half, 0.5 - 1e-10))
        z_above = _quantile(np.clip(above, half, 0.5 - 1e-10))
        both = z_below + z_above
        self._stretch = np.where(short, (high - low) / (both * std), self._stretch)
        between_both = (low * z_above + high * z_below) / both
        return np.where(outer, near, np.where(short, between_both, mean))
