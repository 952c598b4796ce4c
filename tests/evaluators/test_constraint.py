"""Constraints: what a line says, and by how much it is missed."""

from __future__ import annotations

import pytest

from evomerge.evaluators.constraint import read_constraint


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("json >= 0.95 * base", ("json", True, 0.95, "base")),
        ("json>=95%*base", ("json", True, 0.95, "base")),
        ("wiki/ppl <= 1.05 * parents", ("wiki/ppl", False, 1.05, "parents")),
        ("json >= math", ("json", True, 1.0, "math")),
        ("  layers   <= 30 ", ("layers", False, 30.0, None)),
        ("layers <= 1e9", ("layers", False, 1e9, None)),
        ("a-task.v2 >= -.5", ("a-task.v2", True, -0.5, None)),
    ],
)
def test_a_line_is_one_comparison(written: str, parts: tuple[object, ...]) -> None:
    found = read_constraint(written)
    assert (found.name, found.at_least, found.factor, found.model) == parts


@pytest.mark.parametrize(
    "written",
    [
        "",
        "json",
        "json > 0.5",
        "json == base",
        "json >= base * 0.95",
        "json >= 0.5 >= 0.4",
        "json >= 0.9 * base * base",
        "json >= 1 + 1",
        "a b >= 1",
    ],
)
def test_anything_else_is_refused_with_what_a_line_looks_like(written: str) -> None:
    with pytest.raises(ValueError, match=r"no constraint; one is NAME >= NUMBER"):
        read_constraint(written)


def test_what_looks_like_code_is_a_name_that_no_model_has() -> None:
    assert read_constraint("json >= __import__('os')").model == "__import__('os')"


def test_a_miss_is_a_share_of_what_is_wanted() -> None:
    least, most = read_constraint("x >= 0.5"), read_constraint("x <= 2")
    assert least.violation(0.4, 0.5) == pytest.approx(0.2)
    assert least.violation(0.6, 0.5) < 0
    assert most.violation(3.0, 2.0) == pytest.approx(0.5)
    assert read_constraint("x >= 0").violation(-0.25, 0.0) == 0.25, "a share of 0 is none"


def test_what_is_wanted_is_said() -> None:
    found = read_constraint("json >= 0.95 * base")
    assert found.said(0.58, 0.61) == "json 0.58, and at least 0.61 (0.95 * base) is wanted"
