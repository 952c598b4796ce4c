"""Item response theory: how likely a model of some ability answers each example right.

    p_i(θ) = σ(α_i · θ − β_i)        α_i discrimination, β_i difficulty, θ ability; all of D numbers

The two-parameter logistic model in D dimensions (2PL); Birnbaum (1968), Reckase, "Multidimensional
Item Response Theory" (2009). Scores between 0 and 1 stand for themselves.

Fits are Newton's, with a ridge that keeps them finite where all answers are right, or all wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ability", "Array", "Items", "fit_ability", "fit_mixture", "logistic"]

Array = NDArray[Any]

STEPS = 100
TOLERANCE = 1e-10


@dataclass(frozen=True)
class Items:
    """What is known of the examples."""

    discrimination: Array
    """(items, dimensions)."""
    difficulty: Array
    """(items,)."""

    def probabilities(self, ability: Array) -> Array:
        """How likely each is answered right (items,) by a model of this ability (dimensions,)."""
        return logistic(self.discrimination @ ability - self.difficulty)

    def __getitem__(self, places: Any) -> Items:
        """Some of them."""
        return Items(self.discrimination[places], self.difficulty[places])


@dataclass(frozen=True)
class Ability:
    """A fit: the ability, and how sure it is."""

    at: Array
    """(dimensions,)."""
    covariance: Array
    """(dimensions, dimensions): the inverse of the Hessian, ridge included."""


def logistic(x: Array) -> Array:
    """1 / (1 + exp(-x)), of any shape, without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * np.asarray(x, dtype=float)))


def fit_ability(
    items: Items, scores: Array, *, ridge: float = 1.0, centre: Array | None = None
) -> Ability:
    """The most likely ability behind scores (items,) in [0, 1].

        θ̂ = argmin − Σ y_i log p_i + (1 − y_i) log(1 − p_i) + ridge ‖θ − centre‖² / 2

    `ridge` > 0; `centre` (dimensions,): what it draws to, zeros where it is left out.
    """
    dimensions = items.discrimination.shape[1]
    start = np.zeros(dimensions) if centre is None else np.asarray(centre, dtype=float)
    return _newton(items.discrimination, items.difficulty, scores, ridge, start)


def fit_mixture(
    items: Items, scores: Array, endpoints: Array, *, ridge: float = 1.0
) -> tuple[Array, Ability]:
    """The ability of a merge as a mixture of its parents' (MERGE³, section 4: mp-IRT).

        θ = Σ_j λ_j θ_j,   λ̂ = argmin of the same with ridge ‖λ − 1/J‖² / 2

    It is a logistic regression with the design α_i · θ_j.

    Args:
        endpoints: (J, dimensions): the parents' abilities.

    Returns:
        λ̂ (J,), and the ability with the covariance that it has in the parents' span.
    """
    endpoints = np.asarray(endpoints, dtype=float)
    design = items.discrimination @ endpoints.T
    start = np.full(len(endpoints), 1.0 / len(endpoints))
    shares = _newton(design, items.difficulty, scores, ridge, start)
    at = shares.at @ endpoints
    return shares.at, Ability(at, endpoints.T @ shares.covariance @ endpoints)


def _newton(design: Array, offset: Array, scores: Array, ridge: float, centre: Array) -> Ability:
    """Ridge logistic regression from its centre: damped steps, since a full one may overshoot."""
    at, size = centre.copy(), len(centre)
    scores = np.asarray(scores, dtype=float)
    hessian = ridge * np.eye(size)
    loss = _loss(design, offset, scores, ridge, centre, at)
    for _ in range(STEPS):
        right = logistic(design @ at - offset)
        gradient = design.T @ (right - scores) + ridge * (at - centre)
        hessian = design.T @ (design * (right * (1 - right))[:, None]) + ridge * np.eye(size)
        step = np.linalg.solve(hessian, gradient)
        while True:
            after = _loss(design, offset, scores, ridge, centre, at - step)
            if after <= loss or np.abs(step).max() < TOLERANCE:
                break
            step = step / 2
        at, loss = at - step, after
        if np.abs(step).max() < TOLERANCE:
            break
    return Ability(at, np.linalg.inv(hessian))


def _loss(
    design: Array, offset: Array, scores: Array, ridge: float, centre: Array, at: Array
) -> float:
    logits = design @ at - offset
    likely = np.logaddexp(0.0, logits) - scores * logits
    return float(likely.sum() + ridge * np.sum((at - centre) ** 2) / 2)
