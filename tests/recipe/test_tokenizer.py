"""Which tokenizer a recipe may ask for, and that recipes without one keep their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evomerge.errors import RecipeError
from evomerge.recipe.digest import digest, plain
from evomerge.recipe.tokenizer import TokenizerChoice, TokenRow
from evomerge.recipe.tree import Merge
from evomerge.recipe.yaml import dump_recipe, parse_recipe, read_recipe

INPUTS: dict[str, Any] = {"base": {"model": "org/base"}, "math": {"model": "org/math"}}


def recipe(tokenizer: Any = None, **changes: Any) -> Merge:
    data = {
        "kind": "merge",
        "method": "ties",
        "base": "base",
        "inputs": INPUTS,
        "rules": [{"where": {}, "math": {"weight": 0.5}}],
    }
    data |= changes if tokenizer is None else {"tokenizer": tokenizer, **changes}
    found = parse_recipe(data, origin="r.yaml", folder=Path("/nowhere"))
    assert isinstance(found, Merge)
    return found


def test_a_recipe_without_a_tokenizer_keeps_its_digest() -> None:
    """Of a version that had no such field."""
    assert digest(recipe()) == "a7aae9aeb0ebb8055a57da18ab72bd45397cfb4d52d0f1b92fe62e0ac491fa0d"
    assert "tokenizer" not in plain(recipe())


def test_a_tokenizer_changes_the_digest_and_is_read_back(tmp_path: Path) -> None:
    whole = {
        "source": "union",
        "tokens": {"<x>": "math", "<y>": {"source": "math", "token": "y", "force": True}},
        "pad_to_multiple_of": 64,
    }
    names = {digest(one) for one in (recipe(), recipe("base"), recipe("union"), recipe(whole))}
    assert len(names) == 4
    path = tmp_path / "r.yaml"
    path.write_text(dump_recipe(recipe(whole)))
    assert read_recipe(path) == recipe(whole)


def test_a_string_is_short_for_its_source() -> None:
    assert recipe("union").tokenizer == TokenizerChoice(source="union")
    short = recipe({"source": "base", "tokens": {"<x>": "zero"}}).tokenizer
    assert short is not None
    assert short.tokens == {"<x>": TokenRow(source="zero")}


def test_rows_are_rounded_up() -> None:
    choice = TokenizerChoice(source="base", pad_to_multiple_of=64)
    assert [choice.rows(n) for n in (1, 64, 65)] == [64, 64, 128]
    assert TokenizerChoice(source="base").rows(65) == 65


@pytest.mark.parametrize(
    ("tokenizer", "said"),
    [
        ("mth", "tokenizer.source: 'mth' is not an input; did you mean 'math'?"),
        ({"source": "base", "tokens": {"<x>": "mth"}}, "tokenizer.tokens.<x>.source: 'mth'"),
        ({"source": "base", "pad_to_multiple_of": 0}, "pad_to_multiple_of"),
        ({"source": "base", "pad": 8}, "unknown key 'tokenizer.pad'"),
        (
            {"source": "base", "tokens": {"<x>": {"source": "math", "token": "y", "id": 1}}},
            "by token or by id",
        ),
        ({"source": "base", "tokens": {"<x>": {"source": "zero", "id": 1}}}, "a zero row"),
    ],
)
def test_what_makes_no_sense_is_refused(tokenizer: Any, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe(tokenizer)
    assert said in str(caught.value)
    assert str(caught.value).startswith("r.yaml: ")


@pytest.mark.parametrize("name", ["union", "zero"])
def test_words_with_a_meaning_name_no_input(name: str) -> None:
    inputs = {**INPUTS, name: {"model": "org/other"}}
    assert recipe(inputs=inputs).tokenizer is None
    with pytest.raises(RecipeError, match="may not be called"):
        recipe("base", inputs=inputs)


def test_base_is_the_base_or_no_input() -> None:
    with pytest.raises(RecipeError, match="may not be called"):
        recipe("base", base="math")


def test_a_stack_has_no_tokenizer_of_its_own() -> None:
    stack = {
        "kind": "stack",
        "inputs": INPUTS,
        "embedding": "base",
        "head": "base",
        "hops": [{"of": "base", "layer": 0}],
        "tokenizer": "base",
    }
    with pytest.raises(RecipeError, match="unknown key 'tokenizer'"):
        parse_recipe(stack, origin="r", folder=Path("/nowhere"))
