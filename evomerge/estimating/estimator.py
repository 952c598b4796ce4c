"""An estimator as a search grows: it learns from whole reports, and estimates from parts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evomerge.estimating.calibration import Calibration, calibrate
from evomerge.estimating.estimates import (
    anchor_error,
    anchor_estimate,
    anchor_weights,
    combined,
    irt_error,
    p_irt,
    share_of_anchors,
)
from evomerge.estimating.items import Ability, Array

__all__ = ["ESTIMATORS", "LEAST", "Estimator", "EstimatorKind", "Estimation"]

EstimatorKind = Literal["anchors", "p_irt", "gp_irt", "mp_irt", "gmp_irt"]
ESTIMATORS: tuple[EstimatorKind, ...] = ("anchors", "p_irt", "gp_irt", "mp_irt", "gmp_irt")

LEAST = 4
"""Models that were scored on all examples, before anything is said of items."""
FOLDS = 4
MEAN_TO_SD = float(np.sqrt(np.pi / 2))
"""Of a normal error its standard deviation, by its mean absolute value."""


@dataclass(frozen=True)
class Estimation:
    """An estimate of a weighted sum over all examples."""

    value: float
    error: float
    """Its standard error."""


@dataclass(frozen=True)
class _Fold:
    """Items that were learned without some of the known models."""

    calibration: Calibration
    endpoints: list[int]
    """Of the models that they were learned from."""
    held_out: list[int]


class Estimator:
    """Learns items from models that were scored on all examples (`learn`), and estimates others.

    How much the anchors' own mean counts beside the items (c of gp-IRT) is measured: by how well
    items that were learned from some of the known models foretell the others.
    """

    def __init__(self, kind: EstimatorKind, strata: Array) -> None:
        """`strata`: (N,) as `Anchors.strata`."""
        self.kind, self.strata = kind, strata
        self._scores: list[Array] = []
        self._answers: Array | None = None
        self._variance: float | None = None
        self._endpoints: list[int] = []
        self._calibration: Calibration | None = None
        self._folds: list[_Fold] = []
        self._errors: dict[int, float] = {}

    @property
    def known(self) -> int:
        """Models that it has learned from."""
        return len(self._scores)

    @property
    def answers(self) -> Array:
        """Their scores (models, N)."""
        if self._answers is None:
            self._answers = np.array(self._scores)
        return self._answers

    @property
    def is_ready(self) -> bool:
        """Whether it knows enough to estimate."""
        return self.kind == "anchors" or self.known >= LEAST

    def learn(self, scores: Array, *, endpoint: bool = False) -> None:
        """Take in one more model that was scored on all examples (N,).

        `endpoint`: it is one of those that all others are mixtures of.
        """
        if endpoint:
            self._endpoints.append(self.known)
        self._scores.append(np.asarray(scores, dtype=float))
        self._answers = self._variance = self._calibration = None
        self._folds, self._errors = [], {}

    def ability(self, places: Sequence[int], scores: Array) -> tuple[Calibration, Ability]:
        """The items as they are known now, and the ability of a model with these scores."""
        calibration = self._calibrated()
        return calibration, self._fit(calibration, self._endpoints, places, scores)

    def estimate(self, places: Sequence[int], scores: Array, masses: Array) -> Estimation:
        """Σ masses · scores over all examples, by the scores (n,) at some places (n,).

        `masses`: (N,), how much each example counts; of one sign in a stratum.
        """
        scores = np.asarray(scores, dtype=float)
        weights = anchor_weights(masses, self.strata, places)
        by_anchors = anchor_estimate(weights, scores)
        anchors_error = anchor_error(weights, scores, len(masses))
        if self.kind == "anchors":
            return Estimation(by_anchors, anchors_error)
        calibration, ability = self.ability(places, scores)
        own = weights if self.kind in ("mp_irt", "gmp_irt") else None
        by_items = p_irt(calibration.items, ability.at, masses, places, scores, own)
        size = float(np.abs(masses).sum())
        measured = self._measured_error(places) * size
        items_error = max(
            irt_error(calibration.items, ability, masses, places), measured * MEAN_TO_SD
        )
        if self.kind in ("p_irt", "mp_irt"):
            return Estimation(by_items, items_error)
        share = share_of_anchors(measured, self._mean_variance() * size**2, len(scores))
        # Both go by the same answers: their errors go half together.
        first, second = share * anchors_error, (1 - share) * items_error
        error = math.sqrt(first**2 + second**2 + first * second)
        return Estimation(combined(share, by_anchors, by_items), error)

    def _calibrated(self) -> Calibration:
        if self._calibration is None:
            self._calibration = calibrate(self.answers)
        return self._calibration

    def _fit(
        self,
        calibration: Calibration,
        endpoints: Sequence[int],
        places: Sequence[int],
        scores: Array,
    ) -> Ability:
        at = np.asarray(places, dtype=int)
        if self.kind in ("mp_irt", "gmp_irt") and endpoints:
            return calibration.mixture(endpoints, at, scores)
        return calibration.ability(at, scores)

    def _measured_error(self, places: Sequence[int]) -> float:
        """b: the mean absolute error on known models of items that were learned without them, for
        a plain mean of all examples; for so many places, whichever they are."""
        if len(places) not in self._errors:
            if not self._folds:
                self._folds = [self._fold(number) for number in range(FOLDS)]
            answers = self.answers
            masses = np.full(answers.shape[1], 1.0 / answers.shape[1])
            at = np.asarray(places, dtype=int)
            errors = []
            for fold in self._folds:
                for row in answers[fold.held_out]:
                    ability = self._fit(fold.calibration, fold.endpoints, places, row[at])
                    value = p_irt(fold.calibration.items, ability.at, masses, places, row[at])
                    errors.append(abs(value - float(row.mean())))
            self._errors[len(places)] = float(np.mean(errors))
        return self._errors[len(places)]

    def _fold(self, number: int) -> _Fold:
        held_out = list(range(number, self.known, FOLDS))
        rest = [model for model in range(self.known) if model not in held_out]
        endpoints = [rest.index(model) for model in self._endpoints if model in rest]
        return _Fold(calibrate(self.answers[rest]), endpoints, held_out)

    def _mean_variance(self) -> float:
        """v: of a model's scores over the examples, the mean over models."""
        if self._variance is None:
            self._variance = float(self.answers.var(axis=1).mean())
        return self._variance
