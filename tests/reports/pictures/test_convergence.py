"""What stands in the picture of a search, by the artists that draw it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from evomerge.reports.pictures.convergence import convergence_figure, convergence_picture
from evomerge.study.candidate import Candidate


def candidate(number: int, *fitness: float, **facts: Any) -> Candidate:
    return Candidate(
        number=number,
        genome=(0.5,),
        values={"g": 0.5},
        recipe={"kind": "source"},
        digest="d",
        asked=2 * number,
        asked_s=10.0 * number,
        told=2 * number + 1,
        told_s=10.0 * number + 5,
        fitness=fitness or None,
        **{
            "proposed_by": "optimizer",
            "label": None,
            "proposal": number,
            "state": "done" if fitness else "failed",
            **facts,
        },
    )


def landmark(number: int, label: str, *fitness: float) -> Candidate:
    return candidate(number, *fitness, proposed_by="landmark", label=label, proposal=None)


SEARCH = [
    landmark(0, "uniform", 0.3),
    landmark(1, "parent:math", 0.2),
    candidate(2, 0.1),
    candidate(3),
    candidate(4, 0.6),
    candidate(5, state="stopped"),
    candidate(6, 0.5),
    candidate(7, state="running"),
]


def line(axes: Axes, name: str) -> Line2D:
    (found,) = [one for one in axes.get_lines() if one.get_gid() == name]
    return found


def points(axes: Axes, name: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in np.asarray(line(axes, name).get_xydata(), dtype=float)]


def test_every_candidate_stands_at_its_number_and_the_line_is_the_best_so_far() -> None:
    axes = convergence_figure(SEARCH, ["fitness"], title="t").axes[0]
    assert points(axes, "proposed") == [(2, 0.1), (4, 0.6), (6, 0.5)]
    assert points(axes, "landmarks") == [(0, 0.3), (1, 0.2)]
    assert points(axes, "best so far") == [(0, 0.3), (1, 0.3), (2, 0.3), (4, 0.6), (6, 0.6)]
    assert [x for x, _ in points(axes, "failed")] == [3]
    assert [x for x, _ in points(axes, "stopped")] == [5]
    assert axes.get_ylabel() == "fitness\nsearch split"


def test_landmarks_are_level_lines_with_name_and_score() -> None:
    figure = convergence_figure(SEARCH, ["fitness"], title="a name")
    axes = figure.axes[0]
    assert {height for _, height in points(axes, "level of parent:math")} == {0.2}
    assert {"uniform 0.3", "parent:math 0.2"} <= {text.get_text() for text in axes.texts}
    (said,) = [text.get_text() for text in figure.texts if text.get_gid() == "title"]
    assert said == "a name: 8 candidates, 1 failed, 1 stopped, 1 running"


def test_of_many_landmarks_the_best_have_lines() -> None:
    many = [landmark(n, f"parent:{n}", n / 100) for n in range(30)]
    axes = convergence_figure(many, ["fitness"], title="t").axes[0]
    levels = {str(one.get_gid()) for one in axes.get_lines()}
    assert "level of parent:29" in levels
    assert "level of parent:3" not in levels


def test_several_objectives_have_panels_by_name_and_two_a_front() -> None:
    two = [candidate(0, 0.1, 0.9), candidate(1, 0.5, 0.5), candidate(2, 0.4, 0.4)]
    figure = convergence_figure(two, ["fitness", "layers"], title="t")
    first, second, both = figure.axes
    assert (first.get_ylabel(), second.get_ylabel()) == (
        "fitness\nsearch split",
        "layers\nsearch split",
    )
    assert points(second, "best so far") == [(0, 0.9), (1, 0.9), (2, 0.9)]
    assert sorted(points(both, "front")) == [(0.1, 0.9), (0.5, 0.5)]
    three = [candidate(n, 0.1, 0.2, 0.3) for n in range(2)]
    assert len(convergence_figure(three, ["a", "b", "c"], title="t").axes) == 3


def test_what_lies_far_below_is_marked_at_the_foot_and_flattens_nothing() -> None:
    values = [0.5 + n / 100 for n in range(20)]
    axes = convergence_figure(
        [candidate(n, value) for n, value in enumerate([-1e6, *values])], ["f"], title="t"
    ).axes[0]
    assert axes.get_ylim()[0] > -1
    assert [x for x, _ in points(axes, "below")] == [0]


@pytest.mark.parametrize("count", [1, 2000])
def test_few_and_many_are_drawn_the_same_bytes_again(count: int) -> None:
    many = [candidate(n, (n * 37 % 101) / 101) for n in range(count)]
    drawn = convergence_picture(many, ["fitness"], "svg", title="$a_b$ " * 40)
    assert drawn == convergence_picture(many, ["fitness"], "svg", title="$a_b$ " * 40)
    assert b"<text" not in drawn, "letters are outlines, so that every viewer shows them"
    assert len(drawn) < 400_000


def test_what_failed_and_what_was_stopped_do_not_hide_each_other() -> None:
    axes = convergence_figure(SEARCH, ["fitness"], title="t").axes[0]
    heights = {name: points(axes, name)[0][1] for name in ("failed", "stopped")}
    assert heights["failed"] > heights["stopped"] > 0


def test_of_thousands_every_dot_is_part_of_a_bitmap() -> None:
    many = [candidate(n, n / 2000, n % 7) for n in range(1990)]
    many += [candidate(n) for n in range(1990, 2000)]
    figure = convergence_figure(many, ["fitness", "layers"], title="t")
    dots = [made for axes in figure.axes for made in axes.get_lines() if made.get_marker() == "o"]
    own = [made for made in dots if len(np.asarray(made.get_xdata())) > 1000]
    assert [made.get_rasterized() for made in own] == [True] * 3
    assert line(figure.axes[0], "failed").get_rasterized()


def test_the_clock_begins_with_a_plain_zero() -> None:
    many = [candidate(number, 0.5) for number in range(1000)]  # ten seconds each
    clock = convergence_figure(many, ["fitness"], title="t").axes[0].child_axes[0]
    assert [label.get_text() for label in clock.get_xticklabels()][:2] == ["0", "0.557"]
