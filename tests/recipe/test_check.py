"""Laws that depend on the method: bases, operands, parameters."""

from __future__ import annotations

from contextlib import nullcontext as does_not_raise
from pathlib import Path
from typing import Any

import pytest

from evomerge.errors import ConfigError, RecipeError
from evomerge.operators import signatures
from evomerge.recipe.check import check_methods, operands
from evomerge.recipe.signature import Signature
from evomerge.recipe.tree import Merge
from evomerge.recipe.yaml import parse_recipe


def merge(
    method: str, names: str, base: str | None, each: dict[str, Any] | None = None, **more: Any
) -> Merge:
    own = {name: each or {} for name in names.split() if name != base}
    data = {
        "kind": "merge",
        "method": method,
        "base": base,
        "inputs": {name: {"model": name} for name in names.split()},
        "rules": [{"where": {}, **own}],
        **more,
    }
    made = parse_recipe(data, origin="r", folder=Path("/nowhere"))
    assert isinstance(made, Merge)
    return made


def said(recipe: Merge) -> str:
    with pytest.raises(RecipeError) as caught:
        check_methods(recipe, signatures(), origin="r.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    "recipe",
    [
        merge("linear", "a b", None, {"weight": 1}),
        merge("task_arithmetic", "base a b", "base", {"weight": 1}),
        merge("ties", "base a", "base", {"weight": 1, "density": 0.5}),
        merge("slerp", "a b", "a", options={"t": 0.5}),
        merge("nuslerp", "a b", None, {"weight": 1}),
        merge("nuslerp", "o a b", "o", {"weight": 1}),
    ],
)
def test_good_recipes_pass(recipe: Merge) -> None:
    with does_not_raise():
        check_methods(recipe, signatures(), origin="r.yaml")


class Broken(dict[str, Signature]):
    """Methods of which one cannot be loaded."""

    def get(self, name: str, default: Any = None) -> Any:
        raise ConfigError(f"method {name!r} of the package p cannot be loaded (p:m): no torch")


def test_a_method_that_cannot_be_loaded_is_one_sentence() -> None:
    with pytest.raises(RecipeError, match=r"^r\.yaml: method 'linear' of the package p cannot be"):
        check_methods(merge("linear", "a", None), Broken(), origin="r.yaml")


def test_refusals() -> None:
    assert "did you mean 'ties'?" in said(merge("tise", "a", None))
    assert "needs a base" in said(merge("ties", "a b", None, {"weight": 1}))
    assert "takes 1 input beside the base, got 2" in said(
        merge("slerp", "a b c", "a", options={"t": 0})
    )
    assert "takes 2 inputs, got 3" in said(merge("nuslerp", "a b c", None, {"weight": 1}))
    assert "rules.0.a: the key 'weight' is missing" in said(merge("linear", "a b", None))
    assert "the key 't' is missing" in said(merge("slerp", "a b", "a"))
    assert "density" in said(merge("ties", "o a", "o", {"weight": 1, "density": 0}))
    assert "unknown key 'densty'; did you mean 'density'?" in said(
        merge("ties", "o a", "o", {"weight": 1, "densty": 0.5})
    )
    assert "unknown key 'lamda'; did you mean 'lambda'?" in said(
        merge("ties", "o a", "o", {"weight": 1}, options={"lamda": 2})
    )


def test_parameters_for_the_base_are_refused() -> None:
    recipe = merge(
        "ties", "o a", "o", rules=[{"where": {}, "o": {"weight": 1}, "a": {"weight": 1}}]
    )
    assert "'o' is the base of 'ties' and takes nothing" in said(recipe)


def test_nested_recipes_are_checked_too() -> None:
    inner = {"kind": "merge", "method": "tise", "inputs": {"x": {"model": "x"}}}
    outer = merge("linear", "a", None, {"weight": 1}).model_copy(
        update={"inputs": {"a": parse_recipe(inner, origin="i", folder=Path("/nowhere"))}}
    )
    assert said(outer).startswith("r.yaml: inputs.a: unknown method 'tise'")


def test_methods_that_need_statistics_say_so() -> None:
    assert "needs statistics (fisher) of 'a'; name their folder as 'statistics'" in said(
        merge("fisher", "a b", None)
    )
    inner = merge("linear", "x", None, {"weight": 1})
    recipe = merge("fisher", "a", None).model_copy(update={"inputs": {"a": inner}})
    assert "of 'a', which is a recipe itself" in said(recipe)
    given = {"a": {"model": "a", "statistics": "s"}}
    check_methods(merge("fisher", "a", None, inputs=given), signatures(), origin="r.yaml")


def test_linear_takes_the_base_as_an_operand_only_where_a_rule_says_so() -> None:
    linear = signatures()["linear"]
    assert operands(merge("linear", "o a", "o", {"weight": 1}), linear) == ("a",)
    both = [{"where": {}, "o": {"weight": 1}, "a": {"weight": 1}}]
    assert operands(merge("linear", "o a", "o", rules=both), linear) == ("a", "o")
