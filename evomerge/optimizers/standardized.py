"""What a search knows, as Gaussian processes are told it: with mean 0 and variance 1.

It is imported when a `bayes` optimizer is made.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from botorch.utils.multi_objective.pareto import is_non_dominated
from numpy.typing import NDArray

from evomerge.optimizers.bayes import Known, Violations

__all__ = ["standardized", "standardized_misses"]

Array = NDArray[np.float64]

LEAST_NOISE = 1e-4
"""Variance, in units of the fitness's own variance over what is known."""
FAR = 10.0
"""See `_floor`."""
MISSED = 1.0
"""A constraint that is missed by its whole bound is missed as far as the model knows."""


def standardized(
    known: Sequence[Known],
) -> tuple[Array, list[Array | None], tuple[Array, Array]]:
    """((known, objectives), for each objective the variances (known,) of its noise or None, and
    mean and spread that were taken out).

    With mean 0 and variance 1 over what has a fitness. What failed has the worst fitness. Where an
    error is known of some, that of the others is taken for their mean; an objective of which all
    errors are 0, such as a cost, has unknown noise: it is exact, and no smooth function of genes.
    """
    scores = np.array([fitness for _, fitness, _ in known if fitness is not None])
    errors = [None if fitness is None else error for _, fitness, error in known]
    given = np.array([error for error in errors if error is not None]).reshape(-1, scores.shape[1])
    usual = np.sqrt((given**2).mean(0)) if len(given) else np.zeros(scores.shape[1])
    scores = np.maximum(scores, _floor(scores, usual))
    worst, mean, spread = scores.min(0), scores.mean(0), _spread(scores)
    all_scores = np.array([worst if fitness is None else fitness for _, fitness, _ in known])
    all_scores = np.maximum(all_scores, worst)
    filled = np.array([usual if error is None else error for error in errors]) / spread
    noise: list[Array | None] = [
        np.maximum(filled[:, k] ** 2, LEAST_NOISE) if usual[k] else None for k in range(len(mean))
    ]
    return (all_scores - mean) / spread, noise, (mean, spread)


def standardized_misses(
    failed: Sequence[bool], violations: Sequence[Violations]
) -> tuple[Array, list[float]]:
    """By how much each constraint is missed (known, constraints), and of each where its bound is:
    more is a miss.

    A miss counts up to the bound's own size. What failed misses as the worst does; of a scored
    genome of which nothing is said, all are kept.
    """
    constraints = max(map(len, violations), default=0)
    rows = [own or (0.0,) * constraints for own in violations] or [()] * len(failed)
    missed = np.clip(np.array(rows, dtype=float).reshape(len(failed), -1), -MISSED, MISSED)
    if constraints:
        missed[np.array(failed)] = missed.max(0)
    mean, spread = missed.mean(0), _spread(missed)
    return (missed - mean) / spread, (-mean / spread).tolist()


def _spread(values: Array) -> Array:
    """(columns,): standard deviations, 1 of a column in which all are equal."""
    spread: Array = values.std(0)
    return np.where(spread == 0, 1.0, spread)


def _floor(scores: Array, usual: Array) -> Array:
    """(objectives,): what is worse is told as this, so that one broken candidate, with a perplexity
    of a million, leaves the others apart: `FAR` times further below the best than the median, or
    than a usual error, is; and no member of the front is worse.

    `scores` (known, objectives); `usual` (objectives,): standard errors.
    """
    best, median = scores.max(0), np.median(scores, axis=0)
    gap = np.maximum(best - median, usual)
    on_front = scores[is_non_dominated(torch.from_numpy(scores)).numpy()]
    far = np.where(gap > 0, best - FAR * gap, -np.inf)
    floor: Array = np.minimum(far, on_front.min(0))
    return floor
