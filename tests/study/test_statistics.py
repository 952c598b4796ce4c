from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from evomerge.study.combined import combined_difference, combined_interval
from evomerge.study.significance import holm
from evomerge.study.statistics import (
    Difference,
    Interval,
    mean_interval,
    paired_difference,
)


def binary(ones: int, zeros: int) -> list[float]:
    return [1.0] * ones + [0.0] * zeros


def pairs(both: int, only_a: int, only_b: int, neither: int) -> tuple[list[float], list[float]]:
    a = [1.0] * both + [1.0] * only_a + [0.0] * only_b + [0.0] * neither
    b = [1.0] * both + [0.0] * only_a + [1.0] * only_b + [0.0] * neither
    return a, b


@pytest.mark.parametrize(
    ("ones", "zeros", "low", "high"),
    [
        # Newcombe 1998, Stat. Med. 17:857, table I, method 3
        (81, 182, 0.2553, 0.3662),
        (15, 133, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 28, 0.0061, 0.1718),
    ],
)
def test_wilson_as_in_newcombe(ones: int, zeros: int, low: float, high: float) -> None:
    interval = mean_interval(binary(ones, zeros))
    assert interval.mean == pytest.approx(ones / (ones + zeros))
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)
    assert interval.examples == ones + zeros


def test_graded_scores_get_students_t() -> None:
    # t(0.975, 4) = 2.776445; standard deviation 0.158114
    interval = mean_interval([0.1, 0.2, 0.3, 0.4, 0.5])
    margin = 2.776445 * 0.158114 / math.sqrt(5)
    assert (interval.low, interval.high) == pytest.approx((0.3 - margin, 0.3 + margin), abs=1e-6)


def test_one_graded_score_bounds_nothing() -> None:
    interval = mean_interval([0.25])
    assert (interval.mean, interval.low, interval.high) == (0.25, -math.inf, math.inf)
    assert Interval.model_validate(interval.model_dump(mode="json")) == interval
    assert "Infinity" in interval.model_dump_json()


def test_paired_proportions_as_in_fagerland() -> None:
    # Fagerland, Lydersen and Laake 2014, Stat. Med. 33:2850, table II (Bentur et al. 2009):
    # 1 of 21 with both, 1 and 7 with one only; Bonett-Price -0.508 to -0.013, exact p 0.070
    found = paired_difference(*pairs(1, 1, 7, 12))
    assert found.mean == pytest.approx(-0.286, abs=5e-4)
    assert found.low == pytest.approx(-0.508, abs=5e-4)
    assert found.high == pytest.approx(-0.013, abs=5e-4)
    assert found.p == pytest.approx(18 / 256)
    assert found.test == "McNemar's exact test"


def test_mcnemar_counts_only_what_differs() -> None:
    # Sign test of 15 against 5: 2 P(X <= 5 | 20, 1/2)
    few, many = paired_difference(*pairs(0, 15, 5, 0)), paired_difference(*pairs(80, 15, 5, 200))
    assert few.p == many.p == pytest.approx(0.041389, abs=1e-6)
    assert many.high - many.low < few.high - few.low


def test_equal_models_do_not_differ() -> None:
    same = paired_difference(binary(3, 4), binary(3, 4))
    assert (same.mean, same.p) == (0.0, 1.0)
    assert same.low < 0 < same.high
    graded = paired_difference([0.1, 0.7], [0.1, 0.7])
    assert (graded.mean, graded.low, graded.high, graded.p) == (0.0, 0.0, 0.0, 1.0)


def test_graded_differences_are_permuted_exactly_when_few() -> None:
    # Fisher's sign flips over Darwin's 15 pairs of maize (The Design of Experiments, 1935, 21):
    # 863 of 32,768 on each side are as extreme, so the p-value is 1,726 / 32,768 = 0.0527. With
    # 2^15 above the number of resamples it is drawn; with 12 of the pairs it is exact.
    darwin = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    drawn = paired_difference([x / 8 for x in darwin], [0.0] * 15)
    assert drawn.p == pytest.approx(0.0527, abs=0.008)
    assert drawn.mean == pytest.approx(20.93 / 8, abs=1e-3)
    assert (drawn.low * 8, drawn.high * 8) == pytest.approx((0.03, 41.84), abs=0.01)
    few = [float(x) for x in darwin[:12]]
    assert paired_difference(few, [0.0] * 12) == paired_difference(few, [0.0] * 12, seed=1)
    reference = stats.permutation_test(
        (np.array(few),), lambda x, axis: x.mean(axis=axis), permutation_type="samples"
    )
    assert paired_difference(few, [0.0] * 12).p == pytest.approx(reference.pvalue)


def test_the_same_seed_gives_the_same_p() -> None:
    chance = np.random.default_rng(1)
    a, b = chance.random(50).tolist(), chance.random(50).tolist()
    assert paired_difference(a, b) == paired_difference(a, b)
    assert paired_difference(a, b, seed=1).p != paired_difference(a, b, seed=2).p


@pytest.mark.slow
def test_many_examples_are_drawn_in_batches() -> None:
    chance = np.random.default_rng(1)
    a = chance.random(20_000).tolist()
    assert paired_difference(a, [x - 0.5 for x in a]).p == pytest.approx(1 / 10_000)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="no scores"):
        mean_interval([])
    with pytest.raises(ValueError, match="3 and 2 examples cannot be paired"):
        paired_difference([0.0, 1.0, 1.0], [0.0, 1.0])


def test_holm_as_in_a_textbook() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.6, 0.9]) == (1.0, 1.0)
    assert holm([]) == ()


def test_they_read_well() -> None:
    assert str(Interval(mean=0.5, low=0.4, high=0.6, examples=9)) == "0.500 (0.400 to 0.600)"
    difference = Difference(mean=0.5, low=-0.1, high=0.6, p=0.0123, test="t", examples=9)
    assert str(difference) == "+0.500 (-0.100 to +0.600), p = 0.012"


@pytest.mark.parametrize("truth", [0.03, 0.5, 0.7, 0.99])
def test_nineteen_intervals_of_twenty_hold_a_true_proportion(truth: float) -> None:
    # Exactly, by summing over every count that 100 examples can give.
    held = 0.0
    for ones in range(101):
        interval = mean_interval(binary(ones, 100 - ones))
        if interval.low <= truth <= interval.high:
            held += float(stats.binom.pmf(ones, 100, truth))
    assert 0.91 <= held <= 0.985


def test_nineteen_intervals_of_twenty_hold_a_true_graded_mean() -> None:
    chance = np.random.default_rng(7)
    held = 0
    for _ in range(1000):
        interval = mean_interval(chance.beta(2, 5, size=100).tolist())
        held += interval.low <= 2 / 7 <= interval.high
    assert 0.93 <= held / 1000 <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["binary", "graded"])
def test_nineteen_differences_of_twenty_hold_the_truth(kind: str) -> None:
    # Correlated models: an example that is hard for one is hard for the other.
    chance = np.random.default_rng(8)
    held = rejected = 0
    repeats = 400 if kind == "binary" else 200
    for _ in range(repeats):
        hard = chance.random(100)
        a = 0.5 * hard + 0.5 * chance.random(100)
        b = 0.5 * hard + 0.5 * chance.random(100)
        if kind == "binary":
            a, b = (a > 0.4).astype(float), (b > 0.4).astype(float)
        found = paired_difference(a.tolist(), b.tolist())
        held += found.low <= 0 <= found.high
        rejected += found.p < 0.05
    assert 0.92 <= held / repeats <= 0.99
    assert rejected / repeats <= 0.08


def test_one_group_is_what_it_is_alone() -> None:
    a, b = pairs(3, 9, 2, 6)
    assert combined_interval([(1.0, a)]) == mean_interval(a)
    assert combined_difference([(1.0, a, b)]) == paired_difference(a, b)
    alone, turned = paired_difference(a, b), combined_difference([(-1.0, a, b)])
    assert (turned.mean, turned.low, turned.high) == (-alone.mean, -alone.high, -alone.low)
    assert (turned.p, turned.test) == (alone.p, alone.test)


def test_intervals_of_groups_are_joined_as_zou_and_donner_have_it() -> None:
    """L = sum - sqrt(sum (f (mean - low))^2), and the ends of a negative factor change places."""
    a, b = binary(30, 10), [0.1, 0.2, 0.3, 0.4, 0.5]
    first, second = mean_interval(a), mean_interval(b)
    found = combined_interval([(0.75, a), (-0.25, b)])
    assert found.mean == pytest.approx(0.75 * first.mean - 0.25 * second.mean)
    down = math.hypot(0.75 * (first.mean - first.low), 0.25 * (second.high - second.mean))
    up = math.hypot(0.75 * (first.high - first.mean), 0.25 * (second.mean - second.low))
    assert (found.low, found.high) == pytest.approx((found.mean - down, found.mean + up))
    assert found.examples == 45


def test_several_tasks_have_one_permutation_test_in_which_each_has_its_weight() -> None:
    a, b = [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]
    c, d = [0.5], [0.9]
    found = combined_difference([(0.9, a, b), (0.1, c, d)])
    assert found.mean == pytest.approx(0.9 - 0.04)
    # Of the 16 ways to flip four signs four move the sum as far from 0: all three of the first
    # task alike, and against them the other or not; two of these are as far as the one observed.
    gains = np.array([0.3, 0.3, 0.3, -0.04])
    signs = np.array(np.meshgrid(*[[1, -1]] * 4)).reshape(4, -1)
    extreme = np.abs(gains @ signs) >= abs(gains.sum()) - 1e-12
    assert found.p == pytest.approx(extreme.mean())
    assert found.test == "paired permutation test over all tasks"


def test_the_combined_interval_covers_as_often_as_it_says() -> None:
    chance = np.random.default_rng(5)
    hits, runs = 0, 300
    for _ in range(runs):
        a, b = (chance.random(60) < 0.7).astype(float), (chance.random(60) < 0.5).astype(float)
        c, d = chance.normal(0.2, 1, 40), chance.normal(0.0, 1, 40)
        parts = [(0.5, a.tolist(), b.tolist()), (0.5, c.tolist(), d.tolist())]
        found = combined_difference(parts)
        hits += found.low <= 0.5 * 0.2 + 0.5 * 0.2 <= found.high
    assert 0.92 <= hits / runs <= 0.99


def test_groups_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match="there are no scores"):
        combined_interval([])
    with pytest.raises(ValueError, match="cannot be paired"):
        combined_difference([(0.5, [1.0], [1.0]), (0.5, [1.0, 0.0], [1.0])])
