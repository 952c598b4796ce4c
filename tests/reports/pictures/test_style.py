"""What pictures share."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from evomerge.reports.pictures.style import (
    COLOURS,
    colour,
    drawn,
    round_places,
    shortened,
    spread,
    wrapped,
)


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
    assert shortened("a-model-of-mathematics", 12) == "a-mod\N{HORIZONTAL ELLIPSIS}matics"
    assert shortened("mathematics", 11) == "mathematics"


def test_labels_stand_apart_in_their_order_and_near_their_places() -> None:
    assert spread([0.9, 0.5, 0.1], 0.1) == [0.9, 0.5, 0.1]
    assert spread([0.5, 0.5, 0.5], 0.1) == pytest.approx([0.5, 0.4, 0.3])
    assert spread([0.0, 0.0], 0.1) == pytest.approx([0.1, 0.0])
    assert spread([], 0.1) == []


def test_a_title_is_broken_into_lines_and_never_cut() -> None:
    said = wrapped("a search with a name that goes on and on", 16)
    assert max(map(len, said.split("\n"))) <= 16
    assert said.replace("\n", " ") == "a search with a name that goes on and on"
    assert wrapped("", 16) == ""


@pytest.mark.parametrize(
    "name", ["\x1b[31mx", "a$b$c", "$\\bad{$", "--><script>", "a\x00b", "<&]]>"]
)
def test_a_name_is_drawn_and_not_obeyed(name: str) -> None:
    def draw() -> Figure:
        figure = Figure()
        axes = figure.subplots()
        axes.set_title(name)
        axes.set_xticks([0, 1], [name, "b"])
        axes.plot([0, 1], label=name)
        axes.legend()
        figure.suptitle(name)
        return figure

    root = ElementTree.fromstring(drawn(draw, "svg"))
    assert not [one for one in root.iter() if "script" in one.tag]
    assert drawn(draw, "png")
