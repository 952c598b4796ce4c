"""Examples that share a source: what is known of a mean over them, against simulated truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from evomerge.study.clustered import spread
from evomerge.study.combined import combined_difference, combined_interval
from evomerge.study.statistics import Difference, Interval, mean_interval, paired_difference

TRIES = 300
EASE = 0.6


def sources(chance: np.random.Generator, unequal: bool) -> list[int]:
    """40 sources of 5 examples each, or of 1 to 15."""
    sizes = chance.integers(1, 16, size=40) if unequal else np.full(40, 5)
    return [int(source) for source in np.repeat(np.arange(40), sizes)]


def solved(chance: np.random.Generator, clusters: list[int]) -> NDArray[np.float64]:
    """0 or 1 for each example: a source is as easy as its draw, which has the mean EASE; examples
    of one source correlate by 1 / (1 + 1) = 0.5."""
    ease = chance.beta(EASE, 1 - EASE, size=40)
    return (chance.random(len(clusters)) < ease[clusters]).astype(np.float64)


@pytest.mark.parametrize("unequal", [False, True])
def test_intervals_by_source_hold_a_true_mean_that_others_miss(unequal: bool) -> None:
    chance = np.random.default_rng(5)
    plain = by_source = 0
    for _ in range(TRIES):
        clusters = sources(chance, unequal)
        scores = solved(chance, clusters)
        ignoring = mean_interval(list(scores))
        counted = mean_interval(list(scores), clusters)
        plain += ignoring.low <= EASE <= ignoring.high
        by_source += counted.low <= EASE <= counted.high
    assert plain / TRIES < 0.8
    assert 0.925 <= by_source / TRIES <= 0.98


@pytest.mark.parametrize("unequal", [False, True])
def test_differences_by_source_hold_the_truth_and_are_found_by_chance_as_often_as_they_say(
    unequal: bool,
) -> None:
    """Two models that are equally good, and each good at other sources."""
    chance = np.random.default_rng(6)
    plain = by_source = false_alarms = 0
    for _ in range(TRIES):
        clusters = sources(chance, unequal)
        a, b = solved(chance, clusters), solved(chance, clusters)
        ignoring = paired_difference(list(a), list(b))
        counted = paired_difference(list(a), list(b), clusters=clusters)
        plain += ignoring.low <= 0 <= ignoring.high
        by_source += counted.low <= 0 <= counted.high
        false_alarms += counted.p < 0.05
    assert plain / TRIES < 0.8
    assert 0.925 <= by_source / TRIES <= 0.98
    assert 0.02 <= false_alarms / TRIES <= 0.075


def test_sources_of_one_size_are_students_t_over_their_means() -> None:
    scores = np.random.default_rng(1).random((12, 4))
    clusters = [f"text {at}" for at in range(12) for _ in range(4)]
    own = spread(scores.ravel(), clusters)
    assert own.error == pytest.approx(stats.sem(scores.mean(axis=1)))
    assert own.freedom == pytest.approx(11)
    interval = mean_interval(list(scores.ravel()), clusters)
    low, high = stats.t.interval(0.95, 11, scores.mean(), own.error)
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert (interval.examples, interval.sources) == (48, 12)


def test_unequal_sources_as_worked_out_by_hand() -> None:
    """Means 1 of four examples, 0 of one, 0 of one: the mean is 2/3, distances 4/3, -2/3, -2/3."""
    own = spread(np.array([1.0, 1, 1, 1, 0, 0]), list("aaaabc"))
    variance = ((4 / 3) ** 2 / (1 - 4 / 6) + 2 * (2 / 3) ** 2 / (1 - 1 / 6)) / 36
    assert own.error == pytest.approx(math.sqrt(variance))
    # 1 / sum of squares of the matrix with h_c on its diagonal, and beside it
    # -h_c h_d / sqrt((1 - h_c) (1 - h_d))
    share = np.array([4, 1, 1]) / 6
    matrix = -np.outer(share, share) / np.sqrt(np.outer(1 - share, 1 - share))
    np.fill_diagonal(matrix, share)
    assert own.freedom == pytest.approx(1 / (matrix**2).sum())
    assert own.freedom < 2


def test_a_source_for_each_example_changes_nothing() -> None:
    scores, others = [1.0, 0, 1, 1, 0, 0, 1], [0.0, 0, 1, 0, 0, 1, 1]
    alone = list("abcdefg")
    assert mean_interval(scores, alone) == mean_interval(scores)
    assert paired_difference(scores, others, clusters=alone) == paired_difference(scores, others)


def test_where_all_examples_are_alike_the_sources_alone_count() -> None:
    right = mean_interval([1.0] * 40, [at // 4 for at in range(40)])
    assert (right.low, right.high) == pytest.approx((0.6615, 1.0), abs=2e-4)  # t(9), 10 of 10
    same = paired_difference([1.0] * 40, [1.0] * 40, clusters=[at // 4 for at in range(40)])
    assert same.low == pytest.approx(-same.high)
    assert same.high == paired_difference([1.0] * 10, [1.0] * 10).high
    assert same.p == 1


def test_sources_that_are_alike_are_few_all_the_same() -> None:
    """Each of four sources is won at one example of three: that is no certainty of 1/3."""
    found = paired_difference(
        [1.0, 0.0, 1.0] * 4, [0.0, 0.0, 1.0] * 4, clusters=[at // 3 for at in range(12)]
    )
    # Bonett and Price over four examples: 1 1/3 + 1 wins of 6, 1 loss.
    wins, losses = (4 / 3 + 1) / 6, 1 / 6
    margin = 1.959964 * math.sqrt((wins + losses - (wins - losses) ** 2) / 6)
    assert (found.low, found.high) == pytest.approx(
        (wins - losses - margin, wins - losses + margin), abs=1e-6
    )
    alike = mean_interval([1.0, 0.0, 0.0] * 4, [at // 3 for at in range(12)])
    assert alike.high - alike.low > 0.75, "four sources, not twelve examples"


def test_one_source_bounds_nothing() -> None:
    assert mean_interval([1.0, 0.0, 1.0], ["a"] * 3) == Interval(
        mean=2 / 3, low=0, high=1, examples=3, sources=1
    )
    found = paired_difference([0.5, 0.25], [0.0, 0.0], clusters=["a", "a"])
    assert (found.low, found.high) == (-math.inf, math.inf)


def test_all_of_a_sources_signs_flip_together() -> None:
    """Four sources, each won: 2 of 16 ways are as extreme, however many examples there are."""
    gains = [1.0] * 20
    found = paired_difference(gains, [0.0] * 20, clusters=[at // 5 for at in range(20)])
    assert found.p == 2 / 16
    assert found.test == "paired permutation test by source"
    assert found.sources == 4


def test_sums_over_tasks_count_sources_too() -> None:
    chance = np.random.default_rng(3)
    clusters = sources(chance, False)
    a, b = list(solved(chance, clusters)), list(solved(chance, clusters))
    held = [clusters, None]
    summed = combined_interval([(0.5, a), (0.5, b)], held)
    alone = combined_interval([(0.5, a), (0.5, b)])
    assert summed.high - summed.low > 1.2 * (alone.high - alone.low)
    assert (summed.sources, alone.sources) == (240, None)
    one = combined_difference([(1.0, a, b)], clusters=[clusters])
    assert one == paired_difference(a, b, clusters=clusters)
    both = combined_difference([(0.5, a, b), (0.5, b, a)], clusters=held)
    assert both.sources == 240
    assert Difference.model_validate_json(both.model_dump_json()) == both


def test_every_example_has_a_source() -> None:
    with pytest.raises(ValueError, match="3 examples cannot have 2 sources"):
        mean_interval([1.0, 0.0, 1.0], ["a", "a"])
