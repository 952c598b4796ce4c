"""Vocabularies read from tokenizer.json, and joined."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from evomerge.errors import SourceError
from evomerge.models.inventory import read_inventory
from evomerge.models.vocabulary import (
    Vocabulary,
    inputs_of,
    output_of,
    read_vocabulary,
    tokenizer_donor,
    vocabulary_of,
)
from evomerge.recipe.source import Source
from evomerge.recipe.tokenizer import TokenizerChoice
from evomerge.recipe.tree import Hop, Merge, Recipe, Stack
from tests.families import tiny_tensors, write_model


def model(folder: Path, vocabulary: Any, *added: tuple[str, int], rows: int = 16) -> Source:
    """A model folder whose tokenizer has these tokens."""
    tokenizer = {
        "model": {"vocab": vocabulary},
        "added_tokens": [{"content": token, "id": id, "special": True} for token, id in added],
    }
    write_model(folder, tiny_tensors(0), vocab_size=rows)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return Source(model=str(folder))


def letters(text: str) -> dict[str, int]:
    return {letter: id for id, letter in enumerate(text)}


def read(source: Source) -> Vocabulary:
    return read_vocabulary(read_inventory(Path(source.model)))


def merge(choice: str | Mapping[str, Any], **inputs: Recipe) -> Merge:
    tokenizer = TokenizerChoice.model_validate(choice)
    base = "base" if "base" in inputs else None
    return Merge(method="linear", base=base, inputs=inputs, tokenizer=tokenizer)


def output(recipe: Recipe) -> Vocabulary:
    return vocabulary_of(recipe, lambda source: read_inventory(Path(source.model)))


def test_ordinary_added_and_listed_tokens(tmp_path: Path) -> None:
    found = read(model(tmp_path / "m", letters("ab"), ("a", 0), ("<s>", 2)))
    assert found.ids == {"a": 0, "b": 1, "<s>": 2}
    assert list(found.added) == ["a", "<s>"]
    assert found.rows == 16
    unigram = read(model(tmp_path / "u", [["x", -1.0], ["y", -2.0]]))
    assert unigram.ids == {"x": 0, "y": 1}


def test_a_token_without_a_row_is_not_there(tmp_path: Path) -> None:
    source = model(tmp_path / "m", letters("abc"), ("<s>", 3), ("<pad>", 16))
    assert "<pad>" not in read(source).ids
    found = output(merge("base", a=source))
    assert list(found.added) == ["<s>"]
    assert found.changed


def test_a_union_keeps_the_first_ids_and_adds_what_is_new_in_order(tmp_path: Path) -> None:
    base = model(tmp_path / "base", letters("abx"), ("<s>", 3))
    one = model(tmp_path / "one", {"a": 2, "c": 1, "d": 0}, ("<s>", 3), ("<t>", 4))
    two = model(tmp_path / "two", letters("ed<"), ("x", 3))
    found = output(merge("union", two=two, base=base, one=one))
    expected = ["a", "b", "x", "<s>", "d", "c", "e", "<", "<t>"]
    assert found.ids == {token: id for id, token in enumerate(expected)}
    assert found.rows == 9
    # An added token of any input is one of the output, under the base's id where it has one.
    assert found.added["x"] == {"content": "x", "id": 2, "special": True}
    assert [one["id"] for one in found.tokenizer["added_tokens"]] == [2, 3, 4, 5, 6, 7, 8]
    assert found.added["d"]["special"] is False
    assert found.folder == tmp_path / "base"


def test_a_named_vocabulary_and_new_tokens(tmp_path: Path) -> None:
    one, two = model(tmp_path / "one", letters("ab")), model(tmp_path / "two", letters("ca"))
    assert output(merge("two", one=one, two=two)).ids == {"c": 0, "a": 1}
    choice = {"source": "base", "tokens": {"a": "zero", "<n>": "zero"}, "pad_to_multiple_of": 4}
    found = output(merge(choice, one=one, two=two))
    assert found.ids == {"a": 0, "b": 1, "<n>": 2}
    assert found.rows == 4
    assert not output(merge("two", one=one, two=two)).changed


def test_recipes_below(tmp_path: Path) -> None:
    one, two = model(tmp_path / "one", letters("ab")), model(tmp_path / "two", letters("ca"))
    inner = merge("union", a=one, b=two)
    stack = Stack(inputs={"i": inner}, embedding="i", head="i", hops=(Hop(of="i", layer=0),))
    plain = Merge(method="linear", inputs={"s": stack})
    assert output(plain).ids == {"a": 0, "b": 1, "c": 2}
    assert output(merge("y", x=plain, y=two)).ids == {"c": 0, "a": 1}
    assert tokenizer_donor(merge("y", x=plain, y=two)) == two
    assert tokenizer_donor(merge("union", x=plain, y=two)) == one


def _absent(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def _undeclared(folder: Path) -> None:
    config = {"added_tokens_decoder": {"9": {"content": "<n>"}}}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def _other_rows(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 15}))


def _no_rows(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    del config["vocab_size"]
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_absent, "no tokenizer.json, from which vocabularies are mapped; save"),
        (_undeclared, "lacks the token '<n>' of tokenizer_config.json"),
        (_other_rows, "model.embed_tokens.weight has 16 rows, config.json says vocab_size 15"),
        (_no_rows, "no key vocab_size"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, damage: Callable[[Path], None], said: str) -> None:
    source = model(tmp_path / "m", letters("ab"))
    damage(tmp_path / "m")
    with pytest.raises(SourceError) as caught:
        read(source)
    assert said in str(caught.value)


def test_what_cannot_be_an_output(tmp_path: Path) -> None:
    good = model(tmp_path / "good", letters("ab"))
    gaps = model(tmp_path / "gaps", {"a": 0, "b": 2})
    beyond = model(tmp_path / "beyond", letters("ab") | {"c": 16})
    for name, source, said in (("gaps", gaps, "gaps"), ("beyond", beyond, "'c' has id 16")):
        recipe = merge(name, good=good, **{name: source})
        known = inputs_of(recipe, lambda one: read_inventory(Path(one.model)))
        with pytest.raises(SourceError, match=said):
            output_of(recipe, known)
        assert output(merge("good", good=good, **{name: source})).ids == {"a": 0, "b": 1}
