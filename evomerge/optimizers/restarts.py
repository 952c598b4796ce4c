"""Where a run of CMA-ES starts, and where a new one does once the old one has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["RestartRule", "Restarts", "Start", "usual_popsize"]

RestartRule = Literal["none", "ipop", "bipop"]


def usual_popsize(genes: int) -> int:
    """4 + floor(3 ln n) (Hansen 2016, "The CMA Evolution Strategy: A Tutorial", equation 48)."""
    return 4 + int(3 * np.log(genes))


@dataclass(frozen=True)
class Start:
    """Initial distribution N(mean, sigma^2 S C S), S = diag(steps), `mean` (genes,) in [0, 1], and
    population size."""

    mean: NDArray[np.float64]
    sigma: float
    popsize: int
    covariance: NDArray[np.float64] | None = None
    """C (genes, genes); None: I."""
    steps: NDArray[np.float64] | None = None
    """(genes,): each coordinate's own share of `sigma`; None: all of it."""

    @property
    def scaled_covariance(self) -> NDArray[np.float64]:
        """S C S, (genes, genes), a new one."""
        steps = np.ones(len(self.mean)) if self.steps is None else self.steps
        covariance = np.eye(len(self.mean)) if self.covariance is None else self.covariance
        return np.outer(steps, steps) * covariance


class Restarts:
    """Makes the starts of all runs but the first, each at a uniformly random mean, save for the
    coordinates `settled`, which begin where the first run did.

    - none: as the first run, with the same population and sigma.
    - ipop: the population doubles at every restart (Auger & Hansen 2005, "A restart CMA evolution
      strategy with increasing population size", section 2).
    - bipop: two regimes, and the one that has used fewer evaluations goes next (Hansen 2009,
      "Benchmarking a BI-population CMA-ES on the BBOB-2009 function testbed", section 2). Large
      runs double the population; small ones draw population and sigma at random, both below the
      last large run's.
    """

    def __init__(
        self,
        rule: RestartRule,
        first: Start,
        rng: np.random.Generator,
        settled: NDArray[np.bool_],
    ) -> None:
        self._next: Callable[[int], Start] = {
            "none": self._same,
            "ipop": self._doubled,
            "bipop": self._two_regimes,
        }[rule]
        self._first = first
        self._settled = settled
        self._rng = rng
        self._large = first.popsize
        self._regime: Literal["first", "large", "small"] = "first"
        self._used = {"first": 0, "large": 0, "small": 0}

    def next(self, evaluations: int) -> Start:
        """The start that follows a run which took `evaluations`."""
        self._used[self._regime] += evaluations
        start = self._next(evaluations)
        anywhere = self._rng.random(len(self._first.mean))
        return replace(start, mean=np.where(self._settled, self._first.mean, anywhere))

    def _same(self, _: int) -> Start:
        return self._first

    def _doubled(self, _: int) -> Start:
        self._large *= 2
        return replace(self._first, popsize=self._large)

    def _two_regimes(self, evaluations: int) -> Start:
        if self._used["small"] >= self._used["large"]:
            self._regime = "large"
            return self._doubled(evaluations)
        self._regime = "small"
        u, v = self._rng.random(2)  # ~ U[0, 1]
        ratio = self._large / self._first.popsize / 2  # >= 1: a large run has come before
        return replace(
            self._first,
            popsize=int(self._first.popsize * ratio ** (u**2)),
            sigma=self._first.sigma * 10 ** (-2 * v),
        )
