"""What pictures share."""

from __future__ import annotations

import pytest

from evomerge.reports.pictures.style import COLOURS, colour, round_places, shortened


def test_twice_as_many_things_as_colours_can_be_told_apart() -> None:
    first = [colour(number) for number in range(len(COLOURS))]
    assert first == list(COLOURS)
    assert len({colour(number) for number in range(2 * len(COLOURS))}) == 2 * len(COLOURS)
    assert colour(2 * len(COLOURS)) == COLOURS[0]


@pytest.mark.parametrize(
    ("count", "most", "found"),
    [(1, 5, [0]), (4, 6, [0, 1, 2, 3]), (30, 6, [0, 5, 10, 15, 20, 25, 29])],
)
def test_places_are_round_between_the_first_and_the_last(
    count: int, most: int, found: list[int]
) -> None:
    assert round_places(count, most) == found


def test_a_name_keeps_its_end() -> None:
    assert shortened("a-model-of-mathematics", 12) == "\N{HORIZONTAL ELLIPSIS}mathematics"
    assert shortened("mathematics", 11) == "mathematics"
