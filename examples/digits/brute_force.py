"""Every interpolation of two networks, on a line of 10,000 points: what a search has to beat."""

from __future__ import annotations

import numpy as np
from course import Mark
from digit_data import Images
from network import accuracy
from numpy.typing import NDArray

from evomerge.optimizers.populations.vector_crossing import angle_between, shares

__all__ = ["POINTS", "brute_force"]

POINTS = 10_000


def brute_force(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    training: Images,
    test: Images,
    *,
    points: int = POINTS,
) -> list[Mark]:
    """The one that is best on the training images, as if each point were a forward pass."""
    omega = angle_between(a, b)

    def at(t: float) -> NDArray[np.float64]:
        of_a, of_b = shares(omega, t)
        return of_a * a + of_b * b

    ts = np.linspace(0, 1, points)
    accuracies = [accuracy(at(t), training) for t in ts]
    best = int(np.argmax(accuracies))
    return [Mark(points, accuracies[best], accuracy(at(ts[best]), test))]
