"""Which examples tell most about a model, by Fisher information (adaptive testing).

Hofmann et al., "Fluid Language Model Benchmarking", arXiv 2509.11106; Lord (1980).
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from evomerge.estimating.items import Array, Items

__all__ = ["information", "most_informative", "standard_error"]


def information(items: Items, ability: Array) -> Array:
    """What each example tells about a model of this ability (items,): ‖α_i‖² p_i (1 − p_i)."""
    right = items.probabilities(ability)
    told: Array = np.sum(items.discrimination**2, axis=1) * right * (1 - right)
    return told


def most_informative(
    items: Items, ability: Array, asked: Collection[int], count: int
) -> tuple[int, ...]:
    """Places of the `count` most informative examples that were not `asked`, ascending; of equal
    ones the first."""
    told = information(items, ability)
    told[list(asked)] = -1.0
    left = len(told) - len(asked)
    best = np.argsort(-told, kind="stable")[: min(count, left)]
    return tuple(sorted(int(place) for place in best))


def standard_error(items: Items, ability: Array) -> float:
    """Of an ability in one dimension that was fitted to these items: 1 / √ Σ I_i."""
    return float(1 / np.sqrt(np.sum(information(items, ability))))
