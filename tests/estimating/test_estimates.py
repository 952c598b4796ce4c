"""Item response theory, held to worked numbers (the card of MERGE³) and to simulated truth."""

from __future__ import annotations

import numpy as np
import pytest

from evomerge.estimating.estimates import (
    anchor_error,
    anchor_estimate,
    anchor_weights,
    combined,
    irt_error,
    p_irt,
    share_of_anchors,
)
from evomerge.estimating.items import Array, Items, fit_ability, fit_mixture, logistic

ITEMS = Items(
    np.array(
        [(1.2, 0), (0.8, 0.4), (0, 1), (0.5, 0.5), (1.5, 0), (0, 1.4), (0.9, 0.3), (0.2, 1.1)]
    ),
    np.array([0, -0.5, 0.5, 0, 1, -0.2, 0.3, 0.8]),
)
ENDPOINTS = np.array([[1, 1, 0, 1, 1, 0, 1, 0], [0, 1, 1, 1, 0, 1, 0, 1]], dtype=float)
ANCHORS, UNSEEN = (0, 2, 4, 7), [1, 3, 5, 6]
SCORES, WEIGHTS = np.array([1.0, 1, 0, 1]), np.array([0.4, 0.2, 0.15, 0.25])
MASSES = np.full(8, 1 / 8)


def near(value: object) -> object:
    return pytest.approx(value, abs=5e-5)


def endpoints() -> Array:
    return np.array([fit_ability(ITEMS, row).at for row in ENDPOINTS])


def test_abilities_of_the_worked_example() -> None:
    first, second = endpoints()
    assert tuple(first) == near((1.2792, -0.5952))
    assert tuple(second) == near((-0.4675, 1.1862))
    ability = fit_ability(ITEMS[list(ANCHORS)], SCORES)
    assert tuple(ability.at) == near((0.1567, 0.8940))
    assert tuple(ITEMS[UNSEEN].probabilities(ability.at)) == near((0.7277, 0.6284, 0.8102, 0.5273))


def test_estimates_of_the_worked_example() -> None:
    ability = fit_ability(ITEMS[list(ANCHORS)], SCORES)
    by_anchors = anchor_estimate(WEIGHTS, SCORES)
    assert by_anchors == near(0.85)
    by_items = p_irt(ITEMS, ability.at, MASSES, ANCHORS, SCORES)
    assert by_items == near(0.7117)
    share = share_of_anchors(0.03, 0.2, 4)
    assert (share, share_of_anchors(0.03, 0.2, 100)) == near((0.0672, 0.6429))
    assert combined(share, by_anchors, by_items) == near(0.7210)


def test_estimates_by_the_parents_of_the_worked_example() -> None:
    shares, ability = fit_mixture(ITEMS[list(ANCHORS)], SCORES, endpoints())
    assert tuple(shares) == near((0.4331, 1.2387))
    assert tuple(ability.at) == near((-0.0251, 1.2115))
    assert ITEMS[UNSEEN].probabilities(ability.at).mean() == near(0.6870)
    by_items = p_irt(ITEMS, ability.at, MASSES, ANCHORS, SCORES, WEIGHTS)
    assert by_items == near(0.7685)
    assert combined(0.5, 0.85, by_items) == near(0.8092)


def test_without_a_ridge_a_mixture_runs_away() -> None:
    shares, _ = fit_mixture(ITEMS[list(ANCHORS)], SCORES, endpoints(), ridge=1e-6)
    assert shares.max() > 10


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_a_ridge_keeps_an_ability_finite_where_all_answers_are_alike(score: float) -> None:
    ability = fit_ability(ITEMS, np.full(8, score))
    assert np.all(np.abs(ability.at) < 5)
    assert np.all(np.linalg.eigvalsh(ability.covariance) > 0)


def test_scored_ones_of_a_stratum_share_its_mass() -> None:
    strata = np.array([0, 0, 0, 1, 1, 2])
    masses = np.full(6, 1 / 6)
    weights = anchor_weights(masses, strata, (0, 1, 3, 5))
    assert tuple(weights) == pytest.approx((1 / 4, 1 / 4, 1 / 3, 1 / 6))
    assert anchor_weights(masses, strata, (0, 3)).sum() == pytest.approx(1), "none of stratum 2"
    assert tuple(anchor_weights(masses, strata, range(6))) == pytest.approx((1 / 6,) * 6)
    assert anchor_error(masses, np.ones(6), 6) == 0, "all are known"


def simulated(seed: int, *, examples: int = 300) -> tuple[Items, Array, Array]:
    """Items, an ability, and whether a model of it answers each right."""
    rng = np.random.default_rng(seed)
    steep, hard = rng.uniform(0.5, 2.0, (examples, 1)), rng.normal(0, 1.5, examples)
    items, ability = Items(steep, hard), rng.normal(0, 1, 1)
    return items, ability, (rng.random(examples) < items.probabilities(ability)).astype(float)


def test_where_the_model_is_right_p_irt_is_better_than_a_mean_and_knows_its_error() -> None:
    errors: dict[str, list[float]] = {"mean": [], "p_irt": []}
    within, truth_within = [], []
    for seed in range(200):
        items, _, answers = simulated(seed)
        masses = np.full(300, 1 / 300)
        places = np.random.default_rng([seed, 1]).choice(300, 30, replace=False).tolist()
        ability = fit_ability(items[places], answers[places])
        estimate = p_irt(items, ability.at, masses, places, answers[places])
        truth = float(answers.mean())
        errors["mean"].append(float(answers[places].mean()) - truth)
        errors["p_irt"].append(estimate - truth)
        error = irt_error(items, ability, masses, places)
        within.append(abs(estimate - truth) < 1.96 * error)
        flat = anchor_error(np.full(30, 1 / 30), answers[places], 300)
        truth_within.append(abs(errors["mean"][-1]) < 1.96 * flat)
    rms = {name: float(np.sqrt(np.mean(np.square(each)))) for name, each in errors.items()}
    assert rms["p_irt"] < 0.8 * rms["mean"]
    assert abs(np.mean(errors["p_irt"])) < 0.01, "no bias"
    assert 0.9 <= np.mean(within) <= 0.99
    assert 0.9 <= np.mean(truth_within) <= 0.99


def test_a_merge_within_its_parents_span_is_foretold_by_them() -> None:
    """With few anchors the parents' abilities say more than an ability alone can."""
    rng = np.random.default_rng(5)
    errors: dict[str, list[float]] = {"p": [], "mp": []}
    masses = np.full(400, 1 / 400)
    for _ in range(100):
        items = Items(rng.normal(0.7, 0.7, (400, 6)), rng.normal(0, 1, 400))
        parents = rng.normal(0, 1, (2, 6))
        ability = np.array([0.6, 0.4]) @ parents
        answers = (rng.random(400) < items.probabilities(ability)).astype(float)
        places = rng.choice(400, 15, replace=False)
        own = fit_ability(items[places], answers[places]).at
        mixed = fit_mixture(items[places], answers[places], parents)[1].at
        for name, at in (("p", own), ("mp", mixed)):
            value = p_irt(items, at, masses, places.tolist(), answers[places])
            errors[name].append(abs(value - float(answers.mean())))
    assert np.mean(errors["mp"]) < 0.85 * np.mean(errors["p"])


def test_a_logistic_function_does_not_overflow() -> None:
    assert tuple(logistic(np.array([-1e4, 0.0, 1e4]))) == (0.0, 0.5, 1.0)
