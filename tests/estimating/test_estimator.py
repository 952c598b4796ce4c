"""Estimators that learn from a few models, on models simulated as merges are: near to each other,
with luck that they share, since what one answers wrong its neighbour mostly does, too."""

from __future__ import annotations

import numpy as np
import pytest

from evomerge.estimating.anchors import cluster_anchors, random_anchors
from evomerge.estimating.calibration import calibrate
from evomerge.estimating.estimator import ESTIMATORS, Estimator, EstimatorKind
from evomerge.estimating.items import Array, Items

N = 120
MASSES = np.full(N, 1 / N)


def answers(seed: int, models: int) -> Array:
    """Whether each model answers each example right (models, N)."""
    rng = np.random.default_rng(seed)
    steep, hard, luck = rng.uniform(0.6, 2, N), rng.normal(0, 1.5, N), rng.random(N)
    ability = rng.normal(0, 1.2, (models, 1))
    right: Array = (1 / (1 + np.exp(-steep * (ability - hard))) > luck).astype(float)
    return right


def taught(kind: EstimatorKind, known: Array) -> Estimator:
    estimator = Estimator(kind, np.zeros(N, dtype=int))
    for number, row in enumerate(known):
        estimator.learn(row, endpoint=number < 3)
    return estimator


def errors_of(kind: EstimatorKind, models: int) -> tuple[Array, Array]:
    """What estimates by twelve examples are off, and what they say of that."""
    off, told = [], []
    for seed in range(4):
        scores = answers(seed, models + 20)
        estimator = taught(kind, scores[:models])
        places = np.sort(np.random.default_rng([seed, 9]).choice(N, 12, replace=False)).tolist()
        for row in scores[models:]:
            estimate = estimator.estimate(places, row[places], MASSES)
            off.append(estimate.value - float(row.mean()))
            told.append(estimate.error)
    return np.array(off), np.array(told)


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_estimates_are_near_and_say_how_near(kind: EstimatorKind) -> None:
    off, told = errors_of(kind, 12)
    rms, mean = np.sqrt(np.mean(off**2)), np.sqrt(np.mean(told**2))
    assert rms < 0.14
    assert abs(off.mean()) < 0.05
    assert 0.5 < mean / rms < 2.5
    assert np.mean(np.abs(off) < 2 * told) > 0.85


def test_items_that_were_learned_from_twelve_models_beat_a_mean() -> None:
    mean, _ = errors_of("anchors", 12)
    worst = max(float(np.mean(errors_of(kind, 12)[0] ** 2)) for kind in ESTIMATORS[1:])
    assert worst < 0.75 * np.mean(mean**2)


def test_parents_that_solve_half_are_mixed_to_something_else_too() -> None:
    """Half of the answers right is the ability 0, and shares of a usual size make nothing of it."""
    off: dict[EstimatorKind, list[float]] = {"p_irt": [], "mp_irt": []}
    for seed in range(4):
        rng = np.random.default_rng([seed, 3])
        steep, hard, shared = rng.uniform(0.6, 2, N), rng.normal(0, 1.5, N), rng.random(N)

        def answered(
            ability: float, luck: Array = shared, steep: Array = steep, hard: Array = hard
        ) -> Array:
            right: Array = (1 / (1 + np.exp(-steep * (ability - hard))) > luck).astype(float)
            return right

        known = [answered(at) for at in (-0.1, 0.0, 0.1)]
        known += [answered(at, rng.random(N)) for at in rng.normal(0, 0.8, 6)]
        places = np.sort(rng.choice(N, 12, replace=False)).tolist()
        for kind, errors in off.items():
            estimator = taught(kind, np.array(known))
            for ability in np.linspace(-1, 2, 12):
                row = answered(float(ability))
                estimate = estimator.estimate(places, row[places], MASSES)
                errors.append(estimate.value - float(row.mean()))
    rms = {kind: float(np.sqrt(np.mean(np.square(errors)))) for kind, errors in off.items()}
    assert rms["mp_irt"] < 1.2 * rms["p_irt"]


def test_what_says_nothing_is_not_believed() -> None:
    """Models that all failed at everything foretell nothing: the mean of the anchors stands."""
    estimator = taught("gp_irt", np.zeros((6, N)))
    scores = answers(1, 1)[0]
    places = list(range(0, N, 4))
    assert taught("gp_irt", answers(2, 12)).is_ready
    assert np.isfinite(estimator.estimate(places, scores[places], MASSES).value)
    assert estimator.estimate(range(N), scores, MASSES).value == pytest.approx(scores.mean())


def test_an_estimator_needs_a_few_models() -> None:
    scores = answers(1, 4)
    assert not taught("p_irt", scores[:3]).is_ready
    assert taught("p_irt", scores).is_ready
    assert taught("anchors", scores[:0]).is_ready


def test_items_are_found_again_where_there_are_many_models() -> None:
    rng = np.random.default_rng(2)
    items = Items(rng.uniform(0.5, 2, (60, 1)), rng.normal(0, 1.2, 60))
    ability = rng.normal(0, 1.2, (400, 1))
    chance = np.array([items.probabilities(at) for at in ability])
    found = calibrate((rng.random((400, 60)) < chance).astype(float), dimensions=1)
    assert np.corrcoef(found.items.difficulty, items.difficulty)[0, 1] > 0.97
    steepness = found.items.discrimination[:, 0], items.discrimination[:, 0]
    assert np.corrcoef(*steepness)[0, 1] > 0.8
    assert np.corrcoef(found.abilities[:, 0], ability[:, 0])[0, 1] > 0.95


def test_drawn_anchors_give_each_task_its_share() -> None:
    groups = np.repeat([0, 1], [90, 30])
    order = random_anchors(groups, [1.0, 1.0], seed=3).order
    assert sorted(order) == list(range(120))
    assert [sum(groups[place] == 0 for place in order[:n]) for n in (10, 40, 60)] == [5, 20, 30]
    assert {groups[place] for place in random_anchors(groups, [99.0, 1.0], seed=3).order[:2]} == {
        0,
        1,
    }
    assert order == random_anchors(groups, [1.0, 1.0], seed=3).order
    assert order != random_anchors(groups, [1.0, 1.0], seed=4).order


def test_clusters_are_examples_that_models_answer_alike() -> None:
    """Four kinds of examples, each solved by models of its own: an anchor for each."""
    kinds = np.arange(N) % 4
    known = np.array([(kinds == kind).astype(float) for kind in range(4)])
    anchors = cluster_anchors(known, np.zeros(N, dtype=int), [1.0], 4, seed=1)
    assert sorted(anchors.order) == list(range(N))
    assert sorted(kinds[list(anchors.order[:4])]) == [0, 1, 2, 3]
    for kind in range(4):
        assert len(set(anchors.strata[kinds == kind])) == 1
    mixed = (kinds < 3).astype(float)
    estimator = taught("anchors", known)
    estimator.strata = anchors.strata
    places = sorted(anchors.order[:4])
    assert estimator.estimate(places, mixed[places], MASSES).value == pytest.approx(0.75)
