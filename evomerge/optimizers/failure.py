"""The fitness of a failed candidate for an optimizer that must be told a number."""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["worse_than"]


def worse_than(fitnesses: Collection[float]) -> float:
    """A fitness below all of `fitnesses`: the worst less their spread (less 1 if all are equal).

    Finite and on the scale of the problem, so that neither a rank nor a fitted model is distorted
    more than a bad candidate would distort it. With nothing to be worse than, 0.
    """
    if not fitnesses:
        return 0.0
    worst = min(fitnesses)
    return worst - ((max(fitnesses) - worst) or 1.0)
