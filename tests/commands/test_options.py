"""Options of settings as rows: types, ranges and defaults in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from evomerge.commands.options import Option, options_of, properties_of
from evomerge.value import Value


class Inner(Value):
    depth: int = 1
    """How deep."""


class Settings(Value):
    kind: Literal["some"] = "some"
    rate: Annotated[float, Field(gt=0, le=1)]
    """How fast."""
    count: int | None = Field(default=None, ge=3)
    third: float = 1 / 3
    rule: Literal["a", "b"] = "a"
    pair: tuple[float, float] = (0.0, 1.0)
    names: tuple[str, ...] = ()
    shares: Mapping[str, float] = Field(default_factory=dict)
    inner: Inner | None = None
    many: Mapping[str, Inner] = {}
    lambda_: bool = Field(False, alias="lambda")


def test_each_option_in_words() -> None:
    assert options_of(Settings) == [
        Option("rate", "number", "required", "> 0, <= 1", "How fast."),
        Option("count", "integer or null", "null", ">= 3", ""),
        Option("third", "number", "0.3333", "", ""),
        Option("rule", "a | b", '"a"', "", ""),
        Option("pair", "[number, number]", "[0.0, 1.0]", "", ""),
        Option("names", "list of text", "[]", "", ""),
        Option("shares", "mapping of number", "", "", ""),
        Option("inner", "mapping or null", "null", "", ""),
        Option("inner.depth", "integer", "1", "", "How deep."),
        Option("many", "mapping of mapping", "{}", "", ""),
        Option("lambda", "boolean", "false", "", ""),
    ]


def test_for_programs_as_json_schema() -> None:
    properties = properties_of(Settings)
    assert "kind" not in properties
    assert properties["rate"]["description"] == "How fast."
    assert properties["lambda"] == {"default": False, "title": "Lambda", "type": "boolean"}


class Tree(Value):
    leaves: int = 0
    below: Tree | None = None


class Garden(Value):
    tree: Tree = Tree()


def test_settings_inside_themselves_end() -> None:
    assert [option.key for option in options_of(Garden)] == ["tree", "tree.leaves", "tree.below"]
