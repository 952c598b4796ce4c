"""Where a search should begin, from what an earlier one has found.

Nomura et al. 2021, "Warm Starting CMA-ES for Hyperparameter Optimization", arXiv 2012.06932,
section 4: the normal distribution that is nearest to a mixture of equal ones around the best tenth.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evomerge.optimizers.coordinates import to_cube
from evomerge.optimizers.isolation import quiet
from evomerge.optimizers.problem import Earlier
from evomerge.recipe.genome import Gene

__all__ = ["promising"]

GAMMA = 0.1
"""The share of the earlier candidates that is promising: the paper's."""
ALPHA = 0.1
"""The width of the normal distribution around each of them, as a share of a gene's range."""


def promising(
    genes: Sequence[Gene], earlier: Sequence[Earlier]
) -> tuple[NDArray[np.float64], float, NDArray[np.float64]]:
    """Mean (genes,), sigma and covariance (genes, genes) of determinant 1, in [0, 1].

    Of fewer than ten earlier candidates the best one is promising.
    """
    with quiet():
        cmaes: Any = importlib.import_module("cmaes")
    pairs = [(to_cube(genes, known.genome), -known.fitness) for known in earlier]
    share = max(GAMMA, 1 / len(pairs))
    with np.errstate(divide="ignore"):
        mean, sigma, covariance = cmaes.get_warm_start_mgd(pairs, gamma=share, alpha=ALPHA)
    if sigma == 0:  # of many genes the package's determinant is below any number
        return _of_many_genes(pairs, share)
    return np.asarray(mean), float(sigma), np.asarray(covariance)


def _of_many_genes(
    pairs: Sequence[tuple[NDArray[np.float64], float]], share: float
) -> tuple[NDArray[np.float64], float, NDArray[np.float64]]:
    """The same with the determinant's logarithm."""
    ranked = sorted(pairs, key=lambda pair: pair[1])
    best = np.array([point for point, _ in ranked[: math.floor(len(pairs) * share)]])
    whole = ALPHA**2 * np.eye(best.shape[1]) + np.cov(best.T, bias=True)
    sigma = math.exp(np.linalg.slogdet(whole).logabsdet / (2 * len(whole)))
    return best.mean(axis=0), sigma, whole / sigma**2
