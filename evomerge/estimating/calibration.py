"""What examples are like, learned from models that were scored on all of them.

With a few models little can be known: that an example is hard says that few of these solved it, and
what none of them, or each, solved says nothing about the next one. So everything is drawn to what
it is on the average: discriminations to 1, difficulties to their mean. With few models this is
nearly the model of Rasch (1960), one number an example; what tells examples apart beyond it comes
with their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evomerge.estimating.items import (
    Ability,
    Array,
    Items,
    fit_ability,
    fit_mixture,
    logistic,
)

__all__ = ["Calibration", "calibrate"]

ROUNDS = 12
STEEP_SD, OTHER_SD, HARD_SD = 0.5, 0.5, 2.0
"""How far discriminations (of the first dimension, of others) and difficulties may spread."""
ABILITY_RIDGE = 0.1
LEAST_RIDGE = 1e-6
TWO_FROM = 24
"""Models from which on a second dimension is learned: parents that are good at other things."""


@dataclass(frozen=True)
class Calibration:
    """The items, and the models that they were learned from."""

    items: Items
    abilities: Array
    """(models, dimensions)."""

    @property
    def centre(self) -> Array:
        """The mean ability (dimensions,)."""
        centre: Array = self.abilities.mean(axis=0)
        return centre

    @property
    def ridge(self) -> float:
        """How strongly the next ability is drawn to the mean: one over the abilities' variance, and
        no stronger than 1, since a search looks for what is better than these."""
        spread = float(self.abilities.var(axis=0).sum()) if len(self.abilities) > 1 else 0.0
        return min(1.0, 1.0 / spread) if spread else 1.0

    def ability(self, places: Array, scores: Array) -> Ability:
        """Of another model, by its scores of some examples."""
        return fit_ability(self.items[places], scores, ridge=self.ridge, centre=self.centre)

    def mixture(self, endpoints: Sequence[int], places: Array, scores: Array) -> Ability:
        """The same as a mixture of the abilities of known models (mp-IRT).

        Shares are drawn to 1/J with a ridge of 1, as in MERGE³. Where these abilities are near 0,
        the origin of the scale (half of the answers right), shares of a usual size make no other
        one; the ridge is then so weak that mixtures spread as abilities do.
        """
        own = self.abilities[list(endpoints)]
        spread = float((own**2).sum()) * self.ridge / own.shape[1]
        ridge = min(1.0, max(spread, LEAST_RIDGE))
        return fit_mixture(self.items[places], scores, own, ridge=ridge)[1]


def calibrate(scores: Array, *, dimensions: int | None = None) -> Calibration:
    """Items and abilities by the largest posterior probability, in turns of Newton's steps.

    Args:
        scores: (models, items), each in [0, 1]; at least one model.
        dimensions: None: one, and two from 24 models on.
    """
    scores = np.asarray(scores, dtype=float)
    models, count = scores.shape
    size = dimensions or (2 if models >= TWO_FROM else 1)
    means = (scores.sum(axis=1) + 0.5) / (count + 1)
    abilities = np.zeros((models, size))
    abilities[:, 0] = np.log(means / (1 - means))
    if size > 1:
        residual = scores - scores.mean(axis=0)
        residual = residual - residual.mean(axis=1, keepdims=True)
        left, values, _ = np.linalg.svd(residual, full_matrices=False)
        others = left[:, : size - 1] * values[: size - 1]
        abilities[:, 1:] = others / max(float(np.abs(others).max()), 1e-9)
    prior = np.zeros(size + 1)
    prior[0] = 1.0
    precision = np.array(
        [1 / STEEP_SD**2, *[1 / OTHER_SD**2] * (size - 1), 1 / HARD_SD**2], dtype=float
    )
    parameters = np.tile(prior, (count, 1))
    items = Items(parameters[:, :size], parameters[:, size])
    for _ in range(ROUNDS):
        prior[size] = parameters[:, size].mean()
        parameters = _fit_items(parameters, abilities, scores, prior, precision)
        items = Items(parameters[:, :size], parameters[:, size])
        abilities = _fit_abilities(abilities, items, scores)
    return Calibration(items, abilities)


def _fit_abilities(abilities: Array, items: Items, scores: Array) -> Array:
    """One damped Newton step for all models at once: abilities (models, dimensions)."""
    design = items.discrimination
    right = logistic(abilities @ design.T - items.difficulty)  # (models, items)
    gradient = (right - scores) @ design + ABILITY_RIDGE * abilities
    curvature = right * (1 - right)
    hessian = np.einsum("mi,id,ie->mde", curvature, design, design, optimize=True)
    hessian += ABILITY_RIDGE * np.eye(design.shape[1])
    step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
    stepped: Array = abilities - np.clip(step, -1.0, 1.0)
    return stepped


def _fit_items(
    parameters: Array, abilities: Array, scores: Array, prior: Array, precision: Array
) -> Array:
    """One damped Newton step for all items at once: parameters (items, dimensions + 1)."""
    design = np.hstack([abilities, -np.ones((len(abilities), 1))])  # (models, dimensions + 1)
    right = logistic(parameters @ design.T)  # (items, models)
    gradient = (right - scores.T) @ design + precision * (parameters - prior)
    curvature = right * (1 - right)
    hessian = np.einsum("im,md,me->ide", curvature, design, design, optimize=True)
    hessian += np.diag(precision)
    step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
    stepped: Array = parameters - np.clip(step, -1.0, 1.0)
    return stepped
