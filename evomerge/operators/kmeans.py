"""k-means on points that are known by their inner products only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["kmeans"]

RESTARTS = 4
ITERATIONS = 100


def kmeans(gram: NDArray[np.float64], k: int, seed: int) -> NDArray[np.intp]:
    """The cluster of each of n points, numbered from 0 by their first points; at most k.

    Lloyd's iterations from k-means++ starts (Arthur & Vassilvitskii, SODA 2007), the best of a few:
    the same points, order and seed give the same clusters. There are fewer than k clusters where
    fewer points differ; from n on each point is its own.

    Args:
        gram: (n, n) inner products of the points.
    """
    n = len(gram)
    if k >= n:
        return np.arange(n)
    draws = np.random.Generator(np.random.PCG64(seed))
    clusterings = [_lloyd(gram, _start(gram, k, draws)) for _ in range(RESTARTS)]
    best = min(clusterings, key=lambda labels: _spread(gram, labels))
    _, first, inverse = np.unique(best, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def _start(gram: NDArray[np.float64], k: int, draws: np.random.Generator) -> NDArray[np.intp]:
    """Clusters around k points, each drawn by its squared distance from those before it."""
    chosen = [min(int(draws.random() * len(gram)), len(gram) - 1)]
    squares = np.diag(gram)
    nearest = _distances(gram, squares, chosen[0])
    while len(chosen) < k and nearest.any():
        shares = np.cumsum(nearest)
        drawn = int(np.searchsorted(shares, draws.random() * shares[-1], side="right"))
        chosen.append(min(drawn, int(nearest.nonzero()[0][-1])))  # the product may round up
        nearest = np.minimum(nearest, _distances(gram, squares, chosen[-1]))
    distances = np.array([_distances(gram, squares, point) for point in chosen])
    nearest_of: NDArray[np.intp] = distances.argmin(axis=0)
    return nearest_of


def _distances(
    gram: NDArray[np.float64], squares: NDArray[np.float64], point: int
) -> NDArray[np.float64]:
    """Squared distances from one point; rounding noise is 0."""
    distances = squares + squares[point] - 2.0 * gram[point]
    return np.where(distances > 1e-12 * (squares + squares[point]), distances, 0.0)


def _lloyd(gram: NDArray[np.float64], labels: NDArray[np.intp]) -> NDArray[np.intp]:
    for _ in range(ITERATIONS):
        moved = np.argmin(_to_means(gram, labels), axis=1)
        if np.array_equal(moved, labels):
            break
        labels = np.unique(moved, return_inverse=True)[1]  # a cluster that ran empty is gone
    return labels


def _spread(gram: NDArray[np.float64], labels: NDArray[np.intp]) -> float:
    """Sum of the squared distances from the means."""
    return float(_to_means(gram, labels)[np.arange(len(gram)), labels].sum())


def _to_means(gram: NDArray[np.float64], labels: NDArray[np.intp]) -> NDArray[np.float64]:
    """(n, k) squared distances |x|^2 - 2 <x, mean> + |mean|^2."""
    share = np.eye(labels.max() + 1)[labels]
    share /= share.sum(axis=0)
    along = gram @ share
    result: NDArray[np.float64] = (
        np.diag(gram)[:, None] - 2.0 * along + np.einsum("nk,nk->k", share, along)
    )
    return result
