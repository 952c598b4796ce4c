"""The few that are kept say who the best of all are."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evomerge.optimizers.base import Fitness
from evomerge.searching.skyband import Skyband
from evomerge.study.candidate import Candidate, ranked
from tests.candidates import candidate


def check(points: Sequence[Fitness], order: Sequence[int], limit: int) -> None:
    """After each that is taken in, the best are those that a ranking of all has first."""
    skyband, known = Skyband(limit), list[Candidate]()
    for number in order:
        is_new = not any(
            all(a >= b for a, b in zip(one.fitness or (), points[number], strict=True))
            for one in known
        )
        assert skyband.add(number, points[number]) == is_new
        known.append(candidate(number, fitness=points[number]))
        by_number = sorted(known, key=lambda one: one.number)
        assert skyband.best() == [one.number for one in ranked(by_number, limit)]


@pytest.mark.parametrize("objectives", [1, 2, 3])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_the_best_of_all_are_among_them(objectives: int, data: st.DataObject) -> None:
    # From two values, where nearly all are equal, to so many that none are.
    values = st.integers(0, data.draw(st.sampled_from((1, 2, 5, 1000)))).map(float)
    points = data.draw(st.lists(st.tuples(*[values] * objectives), min_size=1, max_size=40))
    order = data.draw(st.permutations(range(len(points))))
    check(points, order, limit=data.draw(st.integers(1, 6)))


def test_where_none_beats_another_the_oldest_are_best_and_a_new_one_may_beat_them_all() -> None:
    front = [(n / 50, -n / 50) for n in range(50)]
    check([*front, (1.0, 1.0), (0.2, 0.2)], range(52), limit=5)


def test_equal_ones_are_not_all_kept() -> None:
    """A benchmark of forty problems has forty-one scores, and a search thousands of candidates."""
    skyband = Skyband(5)
    for number in range(1000):
        skyband.add(number, (number % 3 / 2, number % 2))
    assert skyband.best() == [5, 11, 17, 23, 29]
    assert len(skyband) <= 25
