"""Names over narrow columns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.commands.names import cut, short_names, widths


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["evomerge_json", "evomerge_json_math"], ["json", "json_math"]),
        (["gsm8k"], ["gsm8k"]),
        (["evomerge_json_math"], ["evomerge_json_math"]),
        (["math", "mathematics"], ["math", "mathematics"]),
        (["mmlu_law", "mmlu_law_2"], ["law", "law_2"]),
        (["a_", "a_b"], ["a_", "a_b"]),
        (["gsm8k", "ifeval"], ["gsm8k", "ifeval"]),
        ([], []),
    ],
)
def test_words_that_all_begin_with_are_left_out(names: list[str], short: list[str]) -> None:
    assert short_names(names) == short


def test_a_cut_says_that_something_is_missing() -> None:
    assert cut("mathematics", 11) == "mathematics"
    assert cut("mathematics", 6) == "mathe…"


def test_the_widest_columns_give_way() -> None:
    assert widths([9, 5, 5], 25, least=5) == [9, 5, 5]
    assert widths([9, 7, 5], 25, least=5) == [7, 7, 5]
    assert widths([9, 5, 5], 20, least=5) is None
    assert widths([], 0, least=5) == []


@given(st.lists(st.integers(1, 40), max_size=6), st.integers(0, 120))
def test_columns_and_gaps_fit_or_there_are_none(natural: list[int], room: int) -> None:
    got = widths(natural, room, least=5)
    if got is None:
        assert sum(min(width, 5) + 2 for width in natural) > room
    else:
        assert sum(got) + 2 * len(got) <= room
        assert all(min(5, was) <= now <= was for was, now in zip(natural, got, strict=True))
