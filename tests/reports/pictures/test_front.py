"""What stands in the picture of a front, by the artists that draw it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.cbook import STEP_LOOKUP_MAP
from matplotlib.lines import Line2D

from evomerge.reports.pictures.front import front_figure, front_picture
from evomerge.study.candidate import Candidate
from tests.candidates import candidate


def scored(number: int, *fitness: float, **known: Any) -> Candidate:
    return candidate(number, fitness=fitness, tasks={"math": fitness[0]}, **known)


PARENT = scored(0, 0.2, -4.0, proposed_by="landmark", label="parent:json", proposal=None)
POOL = [PARENT, scored(1, 0.6, -3.0), scored(2, 0.4, -2.0), scored(3, 0.9, -1.0, violations=(1.0,))]
FRONT = POOL[1:3]
NAMES = ("math", "layers")


def line(axes: Axes, name: str) -> Line2D:
    (only,) = [drawn for drawn in axes.get_lines() if drawn.get_gid() == name]
    return only


def points(axes: Axes, name: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in np.asarray(line(axes, name).get_xydata(), dtype=float)]


def corners(axes: Axes) -> list[tuple[float, float]]:
    """Where the front's line goes, its points among them."""
    drawn = line(axes, "front")
    xs, ys = STEP_LOOKUP_MAP[drawn.get_drawstyle()](*np.asarray(drawn.get_data(), dtype=float))
    return [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]


def test_all_that_was_scored_stands_in_its_own_unit_and_the_better_end_is_up() -> None:
    (axes,) = front_figure(POOL, FRONT, NAMES, title="t").axes
    assert points(axes, "warm start") == [(0.2, 4.0)]
    assert points(axes, "proposed") == [(0.6, 3.0), (0.4, 2.0)]
    assert points(axes, "breaks a constraint") == [(0.9, 1.0)]
    assert points(axes, "front") == [(0.4, 2.0), (0.6, 3.0)]
    assert corners(axes) == [(0.4, 2.0), (0.4, 3.0), (0.6, 3.0)]
    assert axes.yaxis_inverted()
    assert not axes.xaxis_inverted()
    assert axes.get_ylabel() == "layers, less is better"
    assert {text.get_text() for text in axes.texts} == {"parent:json", "1", "2"}


def test_a_front_is_the_edge_of_what_its_members_reach() -> None:
    """With fewer layers on the one axis or the other: between two members only what is worse than
    one of them in everything."""
    reached = [(0.2, -1.0), (0.5, -3.0), (0.7, -6.0)]
    over = [scored(number, *fitness) for number, fitness in enumerate(reached)]
    (axes,) = front_figure(over, over, NAMES, title="t").axes
    edge = [(0.2, 1.0), (0.2, 3.0), (0.5, 3.0), (0.5, 6.0), (0.7, 6.0)]
    assert corners(axes) == edge
    turned = [
        candidate(number, fitness=fitness[::-1], tasks={"math": fitness[0]})
        for number, fitness in enumerate(reached)
    ]
    (axes,) = front_figure(turned, turned, NAMES[::-1], title="t").axes
    assert corners(axes) == [(6.0, 0.7), (6.0, 0.5), (3.0, 0.5), (3.0, 0.2), (1.0, 0.2)]


@pytest.mark.parametrize(("objectives", "panels"), [(2, 1), (3, 3), (4, 6)])
def test_there_is_a_panel_for_each_two_objectives(objectives: int, panels: int) -> None:
    one = candidate(0, fitness=(1.0,) * objectives)
    figure = front_figure([one], [one], [f"o{i}" for i in range(objectives)], title="t")
    assert sum(axes.get_visible() for axes in figure.axes) == panels


def test_the_same_front_gives_the_same_bytes() -> None:
    first = front_picture(POOL, FRONT, NAMES, "svg", title="a $ and a \x01")
    assert first == front_picture(POOL, FRONT, NAMES, "svg", title="a $ and a \x01")
