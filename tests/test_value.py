"""What is wrong with plain data, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytest
from pydantic import Discriminator, Field, Tag

from evomerge.errors import ConfigError, RecipeError
from evomerge.value import Value, descriptions, parse


class Apple(Value):
    kind: Literal["apple"] = "apple"
    colour: str
    weight_: float = Field(1.0, alias="weight")


class Pear(Value):
    kind: Literal["pear"] = "pear"
    length: float


Fruit = Annotated[
    Annotated[Apple, Tag("apple")] | Annotated[Pear, Tag("pear")],
    Discriminator(lambda data: data.get("kind", "apple")),
]


class Basket(Value):
    best: Fruit | None = None
    all: Mapping[str, Fruit] = Field(default_factory=dict)
    pears: tuple[Pear, ...] = ()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"bst": {}}, "unknown key 'bst'; did you mean 'best'?"),
        ({"best": {"kind": "pear", "lenght": 1}}, "unknown key 'best.lenght'; did you mean"),
        (
            {"best": {"kind": "pear", "length": 1, "colour": "x"}},
            "unknown key 'best.colour'; known: kind, length",
        ),
        ({"best": {"kind": "plum"}}, "best: no kind 'plum'; known: apple, pear"),
        ({"best": {"kind": "peer"}}, "best: no kind 'peer'; did you mean 'pear'?"),
        ({"all": {"apple": {"colour": 3}}}, "all.apple.colour: must be text, got 3"),
        ({"all": {"x": {"color": "red"}}}, "unknown key 'all.x.color'; did you mean 'colour'?"),
        (
            {"all": {"x": {"colour": "red", "wieght": 1}}},
            "unknown key 'all.x.wieght'; did you mean 'weight'?",
        ),
        (
            {"all": {"best": {"kind": "pear", "l": 1}}},
            "unknown key 'all.best.l'; known: kind, length",
        ),
        ({"pears": [{"length": 1}, {}]}, "the key 'pears.1.length' is missing"),
        ({"pears": [{"length": float("inf")}]}, "pears.0.length: must be a finite number"),
        ([], "expected a mapping of keys, got a list"),
    ],
)
def test_one_sentence_names_the_key_as_it_was_written(data: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(Basket, data, origin="basket.yaml")
    assert str(caught.value).startswith(f"basket.yaml: {said}")


def test_the_error_is_of_the_class_asked_for() -> None:
    with pytest.raises(RecipeError):
        parse(Basket, {"bst": 1}, origin="r", error=RecipeError)


class Described(Value):
    short: int = 1
    """How short,
    in words."""
    long_: int = Field(2, alias="long")
    """How long."""
    said: int = Field(3, description="By its field.")
    silent: int = 4


class Heir(Described):
    short: int = 5
    silent: int = 6
    """No longer."""
    parts: tuple[Described, ...] = ()


def test_the_docstring_below_a_field_is_its_description() -> None:
    expected = {"short": "How short, in words.", "long_": "How long.", "said": "By its field."}
    assert descriptions(Described) == expected
    assert descriptions(Heir) == expected | {"silent": "No longer."}

    class Local(Value):
        here: int = 0
        """In a function."""

    assert descriptions(Local) == {"here": "In a function."}


def test_descriptions_stand_in_the_schema_also_of_values_inside() -> None:
    schema = Heir.model_json_schema()
    assert schema["properties"]["long"]["description"] == "How long."
    assert schema["properties"]["silent"]["description"] == "No longer."
    inside = schema["$defs"]["Described"]["properties"]
    assert inside["short"]["description"] == "How short, in words."
    assert "description" not in inside["silent"]
