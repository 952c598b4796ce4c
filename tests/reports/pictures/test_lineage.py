"""What stands in the picture of a lineage, by the artists that draw it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle

from evomerge.reports.lineage import lineage
from evomerge.reports.pictures.lineage import MIDDLE, SIDES, lineage_figure, lineage_picture
from evomerge.reports.pictures.style import COLOURS, Format
from tests.reports.test_lineage import CANDIDATES

SHARES = {
    0: {"code": 1.0, "math": 0.0},
    2: {"code": 0.0, "math": 1.0},
    3: {"code": 0.75, "math": 0.25},
    5: {"code": 1.0, "math": -0.25},
    7: {"code": 0.6, "math": 0.6},
}
SAID = ("first: by fitness", "second: by attraction")


def figure(number: int = 7, shares: Any = SHARES, **options: Any) -> Figure:
    family = lineage(CANDIDATES, number)
    return lineage_figure(family, shares, title="$t$", sides=SAID, **options)


def arcs(axes: Axes) -> dict[str, PathPatch]:
    return {str(one.get_gid()): one for one in axes.patches if isinstance(one, PathPatch)}


def bars(axes: Axes) -> dict[str, Rectangle]:
    return {str(one.get_gid()): one for one in axes.patches if isinstance(one, Rectangle)}


def heights(axes: Axes) -> dict[str, float]:
    """Candidate's name -> its row."""
    return {one.get_text(): one.get_position()[1] for one in axes.texts}


def test_a_row_for_each_in_the_order_of_asking_with_its_score() -> None:
    (axes,) = figure().axes
    rows = heights(axes)
    names = ["seed:0", "seed:2", "3", "5", "7"]
    assert [rows[name] for name in names] == sorted(rows[name] for name in names)
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "downwards"
    scores = [one for one in axes.texts if one.get_text() == "0.500"]
    assert sorted(one.get_position()[1] for one in scores) == [rows[name] for name in names]


def test_arcs_go_from_first_parents_on_the_left_and_from_second_ones_on_the_right() -> None:
    (axes,) = figure().axes
    found, rows = arcs(axes), heights(axes)
    assert set(found) == {"A 0 3", "B 2 3", "A 3 5", "B 3 5", "A 5 7", "B 2 7"}
    names = {0: "seed:0", 2: "seed:2", 3: "3", 5: "5", 7: "7"}
    for key, arc in found.items():
        side, parent, child = key.split()
        across, down = np.asarray(arc.get_path().vertices, dtype=float).T
        assert (across < MIDDLE).all() if side == "A" else (across > MIDDLE).all()
        assert down[0] == rows[names[int(parent)]]
        assert abs(down[-1] - rows[names[int(child)]]) < 5
        assert to_hex(arc.get_edgecolor()) == to_hex(SIDES["AB".index(side)])
    assert found["A 5 7"].get_linewidth() > found["A 3 5"].get_linewidth()
    assert not set(map(to_hex, SIDES)) & set(COLOURS), "they would be taken for seeds"


def test_a_bar_is_cut_by_the_shares_of_the_seeds() -> None:
    (axes,) = figure().axes
    found = bars(axes)
    whole = found["code in 0"].get_width()
    assert "math in 0" not in found
    assert found["math in 2"].get_width() == whole
    assert found["code in 3"].get_width() == pytest.approx(0.75 * whole)
    assert found["math in 5"].get_width() == pytest.approx(0.2 * whole)
    assert found["math in 7"].get_width() == pytest.approx(0.5 * whole)
    for seed, colour in zip(("code", "math"), COLOURS, strict=False):
        own = [one for key, one in found.items() if key.startswith(seed)]
        assert {to_hex(one.get_facecolor()) for one in own} == {colour}
    end = found["code in 3"].get_x() + found["code in 3"].get_width()
    assert found["math in 3"].get_x() == pytest.approx(end)
    legend = axes.get_legend()
    assert legend is not None
    assert [one.get_text() for one in legend.get_texts()] == ["code", "math"]


def test_without_seeds_there_are_no_bars() -> None:
    (axes,) = figure(shares={}).axes
    assert bars(axes) == {}
    assert axes.get_legend() is None


def test_what_is_written_above() -> None:
    (axes,) = figure().axes
    said = {one.get_text() for one in axes.texts}
    assert {"$t$: 4 ancestors, 3 generations", *SAID} <= said
    (alone,) = figure(1, {}).axes
    assert {"$t$: no ancestors", "failed"} <= {one.get_text() for one in alone.texts}
    assert not set(SAID) & {one.get_text() for one in alone.texts}
    titles = [one for one in axes.texts if one.get_gid() == "title"]
    assert [one.get_parse_math() for one in titles] == [False]


def test_merges_of_the_warm_up_are_dotted() -> None:
    (axes,) = figure(random={3, 99}).axes
    dotted = {key for key, arc in arcs(axes).items() if arc.get_linestyle() == ":"}
    assert dotted == {"A 0 3", "B 2 3"}
    assert any("dotted" in one.get_text() for one in axes.texts)
    (axes,) = figure(random={99}).axes
    assert not any("dotted" in one.get_text() for one in axes.texts)


@pytest.mark.parametrize("format", ["svg", "png", "pdf"])
def test_a_picture_is_the_same_bytes_again(format: Format) -> None:
    family = lineage(CANDIDATES, 8)
    first, second = (
        lineage_picture(family, SHARES, format, title="$t$", sides=SAID, random={3})
        for _ in range(2)
    )
    assert first == second
