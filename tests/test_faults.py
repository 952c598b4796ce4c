"""Sentences about data: for every fault that pydantic knows, and never in its words."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field, Tag, ValidationError
from pydantic_core import ErrorDetails
from pydantic_core._pydantic_core import list_all_errors

from evomerge.faults import describe, sentence
from evomerge.value import Value


class Leaf(Value):
    kind: Literal["leaf"] = "leaf"
    size: int | float | str = 1
    part: Annotated[int, Field(ge=2)] | Annotated[float, Field(gt=0, lt=1)] = 2
    names: str | tuple[str, ...] = ()
    limits: Mapping[Literal["search", "holdout"], int] = Field(default_factory=dict)
    pair: tuple[int, int] | None = None
    code: Annotated[str, Field(pattern="^x", examples=["xa", "xb"])] = "x"
    secret: Annotated[str, Field(pattern="^x")] = "x"
    short: Annotated[str, Field(min_length=1, max_length=3)] = "a"
    few: Annotated[tuple[int, ...], Field(min_length=1, max_length=2)] = (1,)


class Twig(Value):
    """May be written in other ways, too."""

    short_form: ClassVar[Mapping[str, Any]] = {"type": ["string", "array", "null", "object"]}

    length: int = 1


class Branch(Value):
    twig: Twig = Twig()
    twigs: tuple[Twig, ...] = ()
    either: Leaf | int = 1
    many: Mapping[str, Leaf | tuple[Leaf, ...]] = Field(default_factory=dict)
    told: Annotated[Leaf, Tag("str")] | None = None


def said(data: Any, kind: type[Value] = Leaf, at: str = "") -> str:
    with pytest.raises(ValidationError) as caught:
        kind.model_validate(data)
    return sentence(kind, caught.value.errors(), at)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"size": []}, "size: must be a number or text, got a list"),
        ({"part": "10%"}, "part: must be a number, got '10%'"),
        ({"part": 1.5}, "part: must be a whole number or below 1, got 1.5"),
        ({"names": 3}, "names: must be text or a list, got 3"),
        ({"names": ["a", 3, 4]}, "names.1: must be text, got 3"),
        ({"limits": {"serch": 3}}, "unknown key 'limits.serch'; did you mean 'search'?"),
        ({"limits": {"search": "x"}}, "limits.search: must be a whole number, got 'x'"),
        ({"pair": [1]}, "pair: needs 2 entries, got 1"),
        ({"pair": [1, 2, 3]}, "pair: may have at most 2 entries, got 3"),
        ({"pair": 1}, "pair: must be a list, got 1"),
        ({"code": "a"}, "code: must be such as 'xa' or 'xb', got 'a'"),
        ({"secret": "a"}, "secret: is not of the form that is wanted here, got 'a'"),
        ({"short": ""}, "short: must not be empty"),
        ({"short": "abcd"}, "short: must be at most 3 characters long, got 'abcd'"),
        ({"few": []}, "few: needs at least 1 entry, got 0"),
        ({"few": [1, 2, 3]}, "few: may have at most 2 entries, got 3"),
        ({"kind": "twig"}, "kind: must be 'leaf', got 'twig'"),
        (3, "expected a mapping of keys, got 3"),
    ],
)
def test_values(data: Any, expected: str) -> None:
    assert said(data) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"either": "x"}, "either: must be a mapping of keys or a whole number, got 'x'"),
        ({"twig": 3}, "twig: must be text, a list, nothing or a mapping of keys, got 3"),
        ({"twigs": [3]}, "twigs.0: must be text, a list, nothing or a mapping of keys, got 3"),
        ({"either": {"sise": 1}}, "unknown key 'either.sise'; did you mean 'size'?"),
        ({"many": {"int": 3}}, "many.int: must be a mapping of keys or a list, got 3"),
        ({"many": {"Leaf": [{"size": 1}, {"few": 3}]}}, "many.Leaf.1.few: must be a list, got 3"),
        ({"told": {"few": 3}}, "told.few: must be a list, got 3"),
    ],
)
def test_ways_to_write_a_value_are_named_and_not_their_classes(data: Any, expected: str) -> None:
    assert said(data, Branch) == expected
    assert said(data, Branch, at="job").startswith(
        expected.replace("unknown key '", "unknown key 'job.") if "key" in expected[:12] else "job."
    )


KINDS = list_all_errors()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind["type"]))
def test_whatever_pydantic_finds_is_said_in_plain_words(kind: Any) -> None:
    context = kind["example_context"] or {}
    of_a_key = kind["type"] in ("extra_forbidden", "missing")
    for loc in (("size",), ("limits", "search"), ("pair", 1), ("size",) if of_a_key else ()):
        detail = ErrorDetails(
            type=kind["type"], loc=loc, msg=kind["example_message_python"], input=[], ctx=context
        )
        told = sentence(Leaf, [detail])
        assert "\n" not in told
        for word in ("nput should", "pydantic", "tuple", "dict", "instance", "{", "model"):
            assert word not in told, told
        assert told.startswith((".".join(map(str, loc[:1])), "unknown key", "the key", "expected"))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "nothing"),
        (True, "true"),
        (0.5, "0.5"),
        ("a", "'a'"),
        ("a" * 100, "a text of 100 characters"),
        ((1, 2), "a list"),
        ({"a": 1}, "a mapping of keys"),
        (datetime.date(2024, 1, 2), "the date 2024-01-02; put text in quotes"),
        (object(), "a object"),
    ],
)
def test_what_was_written(value: object, shown: str) -> None:
    assert describe(value) == shown
