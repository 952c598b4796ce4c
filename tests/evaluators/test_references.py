"""Scores relative to what base and parents score."""

from __future__ import annotations

import pytest

from evomerge.errors import UserError
from evomerge.evaluators.references import ReferenceScores

KNOWN = ReferenceScores(
    base="origin",
    parents=("json", "math"),
    values={
        "search": {
            "origin": {"json": 0.2, "prose": 10.0, "flat": 0.5, "none": 0.0},
            "json": {"json": 0.8, "prose": 12.0, "flat": 0.5, "none": 0.0},
            "math": {"json": 0.1, "prose": 8.0, "flat": 0.4, "none": 0.0},
        },
        "validation": {
            "origin": {"json": 0.5, "prose": 10.0, "flat": 0.5, "none": 0.0},
            "json": {"json": 0.5, "prose": 10.0, "flat": 0.5, "none": 0.0},
            "math": {"json": 0.5, "prose": 9.0, "flat": 0.5, "none": 0.0},
        },
    },
)


def test_words_stand_for_sources() -> None:
    assert KNOWN.models("base") == KNOWN.models("origin") == ("origin",)
    assert KNOWN.models("parents") == ("json", "math")
    assert KNOWN.models("math") == ("math",)
    assert KNOWN.models("maths") == ReferenceScores().models("base") == ()


def test_the_base_is_0_and_the_best_parent_1() -> None:
    assert KNOWN.relative("search", "parents", "json", 0.2, 1) == 0.0
    assert KNOWN.relative("search", "parents", "json", 0.8, 1) == pytest.approx(1.0)
    assert KNOWN.relative("search", "parents", "prose", 8.0, -1) == pytest.approx(1.0)
    assert KNOWN.relative("search", "parents", "prose", 12.0, -1) == pytest.approx(-1.0)


def test_shares_of_the_base() -> None:
    assert KNOWN.relative("search", "base", "json", 0.3, 1) == pytest.approx(0.5)
    assert KNOWN.relative("search", "base", "prose", 9.0, -1) == pytest.approx(0.1)


def test_a_split_without_a_gap_takes_the_search_splits() -> None:
    assert KNOWN.relative("validation", "parents", "json", 0.8, 1) == pytest.approx(1.0)
    assert KNOWN.relative("holdout", "parents", "json", 0.8, 1) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("word", "task", "said"),
    [
        ("parents", "flat", "the best parent scores 0.5 and the base 0.5, which leaves no gap"),
        ("base", "none", "the base scores 0, and nothing is a share of that"),
    ],
)
def test_where_there_is_no_gap_it_is_said(word: str, task: str, said: str) -> None:
    with pytest.raises(UserError, match=f"objective.relative_to: {word}: at {task} {said}"):
        KNOWN.check(word, task, 1)
    KNOWN.check(word, "json", 1)
