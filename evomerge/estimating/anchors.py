"""Which examples are asked first: an order of all of them, and strata that the first stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evomerge.estimating.items import Array

__all__ = ["Anchors", "cluster_anchors", "random_anchors"]

JITTER = 1e-3
"""What is added to columns of answers, so that equal ones can be told apart: a share of a point."""


@dataclass(frozen=True)
class Anchors:
    """An order in which all examples are asked."""

    order: tuple[int, ...]
    """Places, those of the anchors first."""
    strata: Array
    """(N,) integers: the stratum of each example, whose mass its scored ones share."""


def random_anchors(groups: Array, shares: Sequence[float], *, seed: int) -> Anchors:
    """Drawn by the seed alone: one of each group, and then of any first part each group has its
    share, as far as it lasts.

    Args:
        groups: (N,) the group (task) of each example, from 0.
        shares: of each group, > 0; only their ratios count.
    """
    orders = []
    for group in range(len(shares)):
        own = np.flatnonzero(groups == group)
        orders.append(np.random.default_rng([seed, group]).permutation(own).tolist())
    return Anchors(_interleaved(orders, shares), np.asarray(groups))


def cluster_anchors(
    answers: Array, groups: Array, shares: Sequence[float], count: int, *, seed: int
) -> Anchors:
    """`count` anchors by k-means over the answers of known models, in each group by itself: the
    example nearest to each centre comes first, and its cluster is its stratum (tinyBenchmarks,
    section 3). The others follow in the order of `random_anchors`.

    Args:
        answers: (models, N), at least one model.
    """
    from sklearn.cluster import KMeans

    groups = np.asarray(groups)
    random = random_anchors(groups, shares, seed=seed)
    firsts, strata = [], np.zeros(len(groups), dtype=int)
    wanted = np.bincount(groups[list(random.order[:count])], minlength=len(shares))
    clusters = 0
    for group, number in enumerate(wanted.tolist()):
        own = np.flatnonzero(groups == group)
        noise = np.random.default_rng([seed, group]).normal(0, JITTER, (len(own), len(answers)))
        points = answers[:, own].T + noise
        if not number:
            strata[own] = clusters
            clusters += 1
            firsts.append(list[int]())
            continue
        means = KMeans(number, n_init=4, random_state=seed).fit(points)
        strata[own] = clusters + means.labels_
        clusters += number
        distances = means.transform(points)
        distances[np.arange(number) != means.labels_[:, None]] = np.inf
        firsts.append(own[distances.argmin(axis=0)].tolist())
    anchors = _interleaved(firsts, shares)
    chosen = set(anchors)
    return Anchors((*anchors, *(place for place in random.order if place not in chosen)), strata)


def _interleaved(orders: Sequence[Sequence[int]], shares: Sequence[float]) -> tuple[int, ...]:
    """One order of several: the first of each, and then such that each has its share of any first
    part."""
    keyed = [
        ((rank + 0.5) / share if rank else 0.0, group, place)
        for group, (order, share) in enumerate(zip(orders, shares, strict=True))
        for rank, place in enumerate(order)
    ]
    return tuple(place for _, _, place in sorted(keyed))
