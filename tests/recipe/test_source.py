"""A source in one word."""

from __future__ import annotations

import pytest

from evomerge.errors import RecipeError
from evomerge.recipe.source import Source
from evomerge.value import parse


@pytest.mark.parametrize(
    ("written", "model", "revision"),
    [
        ("../models/math", "../models/math", None),
        ("/models/math@2", "/models/math@2", None),
        ("./math@2", "./math@2", None),
        ("~/math@2", "~/math@2", None),
        ("Qwen/Qwen2.5-0.5B", "Qwen/Qwen2.5-0.5B", None),
        ("Qwen/Qwen2.5-0.5B@060db64", "Qwen/Qwen2.5-0.5B", "060db64"),
        ("owner/name@refs/pr/1", "owner/name", "refs/pr/1"),
        ("gpt2@main", "gpt2", "main"),
    ],
)
def test_a_string_is_a_folder_or_a_repository(
    written: str, model: str, revision: str | None
) -> None:
    assert parse(Source, written, origin="r") == Source(model=model, revision=revision)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "the name of a model is empty"),
        (" ", "the name of a model is empty"),
        ("best.yaml", "a model is a folder or a hub repository, and best.yaml is a file"),
        (3, "expected text or a mapping of keys, got 3"),
        (None, "expected text or a mapping of keys, got nothing"),
    ],
)
def test_what_is_no_source(written: object, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse(Source, written, origin="r", error=RecipeError)
    assert str(caught.value).startswith(f"r: {said}")
