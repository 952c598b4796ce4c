from __future__ import annotations

import math

import numpy as np
import pytest

from evomerge.evaluators.base import TaskScore
from evomerge.study.power import Detectable, Paired, examples_for, smallest_difference
from evomerge.study.significance import sign_flips
from evomerge.study.statistics import paired_difference


def scored(examples: list[float], clusters: tuple[str, ...] | None = None) -> TaskScore:
    return TaskScore.averaged("acc", examples).model_copy(update={"clusters": clusters})


def test_two_hundred_examples_find_seven_points() -> None:
    """Half of the answers right, correlation 0.7: an error of 2.7 points finds 7.7."""
    error = math.sqrt(Paired.assumed().variance / 200)
    assert error == pytest.approx(0.0274, abs=5e-5)
    assert smallest_difference(error) == pytest.approx(0.0767, abs=5e-5)
    found = Detectable.of({"t": Paired.assumed()}, {"t": 200}, {"t": 1.0}, is_measured=False)
    assert found is not None
    assert found.difference == pytest.approx(0.0767, abs=5e-5)
    assert (found.examples, found.correlation) == (200, 0.7)


def test_twice_as_fine_takes_four_times_the_examples() -> None:
    assert examples_for(0.04, 0.08, 200) == 800


def test_tasks_count_by_their_weights() -> None:
    """3 : 1 of tasks of 300 and 100 examples: sqrt((9/16)/300 + (1/16)/100) errors of one."""
    paired = dict.fromkeys("ab", Paired(variance=0.2, correlation=0.5))
    found = Detectable.of(paired, {"a": 300, "b": 100}, {"a": 3.0, "b": 1.0}, is_measured=True)
    assert found is not None
    error = math.sqrt(0.2 * (9 / 16 / 300 + 1 / 16 / 100))
    assert found.difference == pytest.approx(smallest_difference(error))


def test_what_is_not_known_is_not_said() -> None:
    assert Detectable.of({}, {"t": 200}, {"t": 1.0}, is_measured=True) is None
    assert Detectable.of({"t": Paired.assumed()}, {}, {"t": 1.0}, is_measured=False) is None
    assert Paired.measured([scored([1.0, 0.0])]) is None


def test_pairs_are_measured() -> None:
    a, b = scored([1.0, 0, 1, 0, 1, 0, 1, 0]), scored([1.0, 0, 1, 0, 1, 0, 0, 1])
    measured = Paired.measured([a], b)
    assert measured is not None
    assert measured.correlation == pytest.approx(0.5)
    assert measured.variance == pytest.approx(np.var([0, 0, 0, 0, 0, 0, 1, -1], ddof=1))
    assert Paired.measured([a, b]) == measured
    always = Paired.measured([a], scored([1.0] * 8))
    assert always is not None
    assert always.correlation is None


def test_examples_of_one_source_show_less() -> None:
    gains = [1.0, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0]
    clusters = tuple("aaaabbbbccccdddd")
    alone = Paired.measured([scored(gains)], scored([0.0] * 16))
    by_source = Paired.measured([scored(gains, clusters)], scored([0.0] * 16))
    assert alone is not None
    assert by_source is not None
    assert by_source.variance > 4 * alone.variance


def test_a_difference_of_that_size_is_found_in_eighty_of_a_hundred() -> None:
    chance, n, found = np.random.default_rng(2), 400, 0
    gain = smallest_difference(math.sqrt(0.3 / n))
    # Of 400 examples 30 % are solved by one model alone: (0.3 + gain) / 2 by the better one.
    odds = [(0.3 + gain) / 2, (0.3 - gain) / 2, 0.35, 0.35]
    for _ in range(300):
        kinds = chance.choice(4, size=n, p=odds)
        a = [float(kind in (0, 2)) for kind in kinds]
        b = [float(kind in (1, 2)) for kind in kinds]
        found += paired_difference(a, b).p < 0.05
    assert 0.72 <= found / 300 <= 0.88


def test_more_examples_of_the_same_sources_show_little_more() -> None:
    """Sources that are alike within: four times the examples are not four times the sources."""
    chance = np.random.default_rng(4)

    def differing(per_source: int) -> Paired:
        gains = np.repeat(chance.choice([0.0, 1.0], size=400), per_source)
        clusters = tuple(f"{at // per_source}" for at in range(len(gains)))
        found = Paired.measured([scored(gains.tolist(), clusters)], scored([0.0] * len(gains)))
        assert found is not None
        return found

    few, many = differing(3), differing(12)
    assert few.elsewhere(12).variance == pytest.approx(many.variance, rel=0.05)
    assert few.elsewhere(12).variance == pytest.approx(4 * few.variance, rel=0.01)
    assert few.elsewhere(1).variance == few.alone
    unlike = few.model_copy(update={"variance": 0.9 * (few.alone or 0)})
    assert unlike.elsewhere(12).variance == few.alone, "no less than alone"
    alone = Paired(variance=0.2, correlation=0.5)
    assert alone.elsewhere(12) == alone


def test_a_difference_between_few_sources_has_to_be_larger() -> None:
    """Of eleven sources 2.80 errors are found in 72 of a hundred cases, 3.11 in eighty."""
    chance, shows = np.random.default_rng(7), smallest_difference(1 / math.sqrt(11), freedom=10)
    assert shows * math.sqrt(11) == pytest.approx(3.107, abs=1e-3)
    assert smallest_difference(1.0, freedom=1e9) == pytest.approx(smallest_difference(1.0))
    rows = (chance.normal(shows, 1.0, 11) for _ in range(600))
    found = sum(sign_flips(gains, seed) < 0.05 for seed, gains in enumerate(rows))
    assert 0.75 <= found / 600 <= 0.85


def test_the_error_of_tasks_with_sources_has_the_freedom_of_them_all() -> None:
    few = Paired(variance=0.2, correlation=None, freedom=10)
    many = Paired(variance=0.2, correlation=None)
    sizes, weights = {"a": 100, "b": 100}, {"a": 1.0, "b": 1.0}
    for paired, freedom in (
        ({"a": few, "b": few}, 20.0),
        ({"a": few, "b": many}, 40.0),
        ({"a": many, "b": many}, None),
    ):
        shows = Detectable.of(paired, sizes, weights, is_measured=True)
        assert shows is not None
        error = math.sqrt(2 * 0.25 * 0.2 / 100)
        assert shows.difference == pytest.approx(smallest_difference(error, freedom))
    clusters = tuple("aabbccddeeff")
    measured = Paired.measured([scored([1.0, 0.0] * 6, clusters)], scored([0.0] * 12))
    assert measured is not None
    assert measured.freedom == pytest.approx(5)
