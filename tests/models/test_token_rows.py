"""Where the row of a token comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evomerge.errors import RecipeError
from evomerge.models.token_rows import TokenRows, token_rows
from evomerge.models.vocabulary import Vocabulary
from evomerge.recipe.source import Source
from evomerge.recipe.tokenizer import TokenizerChoice
from evomerge.recipe.tree import Merge


def vocabulary(tokens: str, rows: int = 8) -> Vocabulary:
    ids = {token: id for id, token in enumerate(tokens)}
    return Vocabulary(Path("/m"), {}, ids, rows)


def rows(output: str, *, base: str | None = "o", tokens: Any = None, **known: str) -> TokenRows:
    choice = TokenizerChoice.model_validate({"source": "union", "tokens": tokens})
    inputs = {name: Source(model=name) for name in known}
    merge = Merge(method="linear", base=base, inputs=inputs, tokenizer=choice)
    tables = {name: vocabulary(text) for name, text in known.items()}
    return token_rows(merge, tables, vocabulary(output))


def test_own_rows_where_all_have_the_token() -> None:
    found = rows("ab", o="ab", p="ba")
    assert found.own == {"o": [0, 1], "p": [1, 0]}
    assert found.shared == {}


def test_the_base_gives_what_another_lacks() -> None:
    found = rows("ab", o="ab", p="a", q="ab")
    assert found.own["p"] == [0, -1]
    assert found.shared == {1: (("o", 1),)}


def test_the_mean_of_those_that_have_it_where_the_base_has_not() -> None:
    found = rows("abz", o="a", p="ba", q="b")
    assert found.shared == {0: (("o", 0),), 1: (("p", 0), ("q", 0)), 2: ()}
    without = rows("ab", base=None, o="ab", p="a", q="ab")
    assert without.shared == {1: (("o", 1), ("q", 1))}


def test_a_row_by_hand_goes_to_those_that_lack_the_token() -> None:
    tokens = {"b": "q", "n": {"source": "p", "token": "a"}, "m": {"source": "p", "id": 7}}
    found = rows("abnm", tokens=tokens, o="ab", p="a", q="ab")
    assert found.shared == {1: (("q", 1),), 2: (("p", 0),), 3: (("p", 7),)}
    assert found.own["o"] == [0, 1, -1, -1]


def test_or_to_all_by_force() -> None:
    found = rows("ab", tokens={"a": {"source": "zero", "force": True}}, o="ab", p="ab")
    assert found.own == {"o": [-1, 1], "p": [-1, 1]}
    assert found.shared == {0: ()}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("p", "has no 'b'"),
        ({"source": "p", "token": "c"}, "has no 'c'"),
        ({"source": "p", "id": 8}, "has no row 8"),
    ],
)
def test_a_row_that_is_not_there(row: Any, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        rows("ab", tokens={"b": row}, o="ab", p="a")
