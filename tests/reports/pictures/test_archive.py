"""What stands in the picture of an archive, by the artists that draw it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle, StepPatch
from matplotlib.text import Text

from evomerge.reports.archive import RankedMember
from evomerge.reports.pictures.archive import (
    TOGETHER,
    archive_figure,
    archive_picture,
    coverage,
    entropy,
    order,
)
from evomerge.reports.pictures.style import Format
from tests.reports.test_lineage import candidate

ROWS = [
    # "code" has three examples, "math$_2$" four.
    [1, 0, 0, 1, 1, 0, 0],
    [1, 0, 1, 0, 1, 1, 0],
    [1, 0, 1, 0, 1, 0, 0],
]
TASKS = {"code": 3, "math$_2$": 4}


def members(
    rows: Any = ROWS, fitnesses: tuple[float, ...] = (2.5, 2.0, 1.25)
) -> list[RankedMember]:
    labels = ["seed:code", None, None]
    return [
        RankedMember(candidate(10 + i, label=label), tuple(map(float, row)), fitness)
        for i, (row, fitness, label) in enumerate(zip(rows, fitnesses, labels, strict=False))
    ]


def figure(rows: Any = ROWS, tasks: dict[str, int] = TASKS) -> Figure:
    return archive_figure(members(rows), tasks, title="$t$", ranked_by="shared fitness")


def words(drawn: Figure) -> list[str]:
    return [one.get_text() for one in drawn.findobj(Text)]


def matrices(axes: Axes) -> dict[str, list[list[float]]]:
    return {str(one.get_gid()): np.asarray(one.get_array()).tolist() for one in axes.get_images()}


def test_a_cell_says_who_solves_what_and_who_does_alone() -> None:
    """0: not solved, 1: solved, 2: by this member alone; a task's examples from left to right by
    how many solve them."""
    assert matrices(figure().axes[0]) == {
        "matrix of code": [[1, 0, 0], [1, 1, 0], [1, 1, 0]],
        "matrix of math$_2$": [[1, 2, 0, 0], [1, 0, 2, 0], [1, 0, 0, 0]],
    }


def test_tasks_stand_side_by_side_with_what_is_solved_of_them() -> None:
    axes = figure().axes[0]
    first, second = (one.get_extent() for one in axes.get_images())
    assert list(first) == [0, 3, 2.5, -0.5]
    assert list(second) == [4, 8, 2.5, -0.5]
    heads = {one.get_gid(): one for one in axes.texts}
    assert heads["task code"].get_text() == "code: 2 of 3"
    assert heads["task math$_2$"].get_text() == "math$_2$: 3 of 4"
    assert [one.get_position()[0] for one in heads.values()] == [0, 4]
    assert not any(one.get_parse_math() for one in heads.values())


def test_members_have_their_names_and_what_they_count_by() -> None:
    matrix, fitnesses, means = figure().axes[:3]
    assert [one.get_text() for one in matrix.get_yticklabels()] == ["seed:code", "11", "12"]
    for axes, values in ((fitnesses, [2.5, 2.0, 1.25]), (means, [3 / 7, 4 / 7, 3 / 7])):
        bars = [one for one in axes.patches if isinstance(one, Rectangle)]
        assert [one.get_width() for one in bars] == pytest.approx(values)
        assert [one.get_y() + one.get_height() / 2 for one in bars] == pytest.approx([0, 1, 2])
        assert axes.get_ylim() == matrix.get_ylim() == (2.5, -0.5)
    assert [one.get_text() for one in fitnesses.texts] == ["2.50", "2.00", "1.25"]
    assert fitnesses.get_title(loc="left") == "shared\nfitness"


def test_the_strip_says_which_share_of_members_solves_an_example() -> None:
    matrix, strip = figure().axes[0], figure().axes[3]
    steps = [one for one in strip.patches if isinstance(one, StepPatch)]
    heights = [one.get_data()[0].tolist() for one in steps]
    assert heights[0] == pytest.approx([1, 2 / 3, 0])
    assert heights[1] == pytest.approx([1, 1 / 3, 1 / 3, 0])
    assert steps[1].get_data()[1].tolist() == [4, 5, 6, 7, 8]
    assert strip.get_xlim() == matrix.get_xlim()


def test_coverage_and_entropy_are_written() -> None:
    said = words(figure())
    assert "$t$: 3 members, 7 examples" in said
    third = -(1 / 3 * np.log2(1 / 3) + 2 / 3 * np.log2(2 / 3))
    assert f"coverage {5 / 7:.3f}   entropy {3 * third / 7:.3f} bits" in said
    scores = np.array(ROWS, dtype=float)
    assert coverage(scores) == pytest.approx(5 / 7)
    assert entropy(scores) == pytest.approx(3 * third / 7)
    assert entropy(np.array([[1.0, 0.0], [0.0, 1.0]])) == 1
    assert entropy(np.array([[1.0, 0.0], [1.0, 0.0]])) == 0


def test_examples_that_the_same_members_solve_stand_together() -> None:
    scores = np.array([[0, 1, 0, 1, 1], [1, 0, 1, 0, 1], [0, 0, 0, 0, 1]], dtype=float)
    assert order(scores) == [4, 1, 3, 0, 2]


def test_graded_scores_are_shades() -> None:
    rows = [[0.25, 1.0], [0.5, 0.0]]
    drawn = figure(rows, {"t": 2})
    assert matrices(drawn.axes[0]) == {"matrix of t": [[1.0, 0.25], [0.0, 0.5]]}
    assert {"score 1", "score 0", "t"} <= set(words(drawn))
    assert not any("solved by" in one or " of 2" in one for one in words(drawn))


def test_scores_beyond_0_and_1_have_no_coverage() -> None:
    drawn = figure([[-2.0, 2.0], [0.0, 1.0]], {"t": 2})
    assert matrices(drawn.axes[0]) == {"matrix of t": [[1.0, 0.0], [0.75, 0.5]]}
    assert {"score 2", "score -2"} <= set(words(drawn))
    assert not any("coverage" in one for one in words(drawn))


def test_one_member_is_not_alone_among_none() -> None:
    assert matrices(figure(ROWS[:1], {"t": 7}).axes[0])["matrix of t"] == [[1, 1, 1, 0, 0, 0, 0]]
    assert not any("alone" in one for one in words(figure(ROWS[:1], {"t": 7})))


def test_more_members_make_a_higher_picture_of_the_same_width() -> None:
    rng = np.random.default_rng(0)
    heights = []
    for count in (2, 8, 60, 200):
        many = [
            RankedMember(candidate(i), tuple(rng.integers(0, 2, 40).astype(float)), 1.0)
            for i in range(count)
        ]
        drawn = archive_figure(many, {"t": 40}, title="t", ranked_by="fitness")
        assert drawn.get_figwidth() == 9
        heights.append(drawn.get_figheight())
    assert heights == sorted(set(heights))


@pytest.mark.parametrize("format", ["svg", "png", "pdf"])
def test_a_picture_is_the_same_bytes_again(format: Format) -> None:
    first, second = (
        archive_picture(members(), TASKS, format, title="$t$", ranked_by="fitness")
        for _ in range(2)
    )
    assert first == second


def test_tasks_without_room_for_their_names_have_numbers() -> None:
    tasks = {"large": 91, "the first of the small": 4, "the second of the small": 5}
    axes = figure(np.eye(3, 100), tasks).axes
    labels = {made.get_gid(): made.get_text() for made in axes[0].texts}
    assert labels["task large"].startswith("large")
    assert labels["task the first of the small"] == "2"
    below = axes[3].get_xlabel().replace(TOGETHER, "~").replace("\n", " ")
    named = "2~the first of the small, 3~the second of the small"
    assert below == f"examples, the most often solved first; {named}"


def test_a_label_is_no_taller_than_the_matrix() -> None:
    def label(number: int) -> str:
        made = [RankedMember(candidate(i), (1.0,) * 7, 1.0) for i in range(number)]
        return archive_figure(made, TASKS, title="t", ranked_by="fitness").axes[0].get_ylabel()

    assert [label(number) for number in (1, 4, 15)] == [
        "",
        "member",
        "member (a candidate's number)",
    ]
