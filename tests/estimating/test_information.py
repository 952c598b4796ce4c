"""Adaptive choice of examples, on simulated models."""

from __future__ import annotations

import numpy as np
import pytest

from evomerge.estimating.information import information, most_informative, standard_error
from evomerge.estimating.items import Items, fit_ability


def test_information_is_what_the_formula_says() -> None:
    items = Items(np.array([[1.0], [2.0], [2.0]]), np.array([0.0, 0.0, 40.0]))
    told = information(items, np.zeros(1))
    assert tuple(told) == pytest.approx((0.25, 1.0, 0.0))
    assert standard_error(items, np.zeros(1)) == pytest.approx(1 / np.sqrt(1.25))
    assert most_informative(items, np.zeros(1), (1,), 5) == (0, 2)
    assert most_informative(items, np.zeros(1), (), 2) == (0, 1)


def test_thirty_chosen_examples_tell_more_than_thirty_drawn_ones() -> None:
    errors: dict[str, list[float]] = {"drawn": [], "chosen": []}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        items = Items(rng.uniform(0.4, 2.5, (500, 1)), rng.normal(0, 2.5, 500))
        ability = rng.normal(0, 1.5, 1)
        answers = (rng.random(500) < items.probabilities(ability)).astype(float)
        drawn = rng.choice(500, 30, replace=False).tolist()
        asked = drawn[:5]
        while len(asked) < 30:
            at = fit_ability(items[asked], answers[asked], ridge=0.3).at
            asked = [*asked, *most_informative(items, at, asked, 5)]
        for name, places in (("drawn", drawn), ("chosen", asked)):
            at = fit_ability(items[places], answers[places], ridge=0.3).at
            errors[name].append(float(at[0] - ability[0]))
    rms = {name: float(np.sqrt(np.mean(np.square(each)))) for name, each in errors.items()}
    assert rms["chosen"] < 0.85 * rms["drawn"]
    assert abs(np.mean(errors["chosen"])) < 0.15, "no bias"
