from __future__ import annotations

import itertools

import pytest

from evomerge.errors import RecipeError
from evomerge.operators import signatures
from evomerge.recipe.check import check_methods
from evomerge.recipe.digest import digest
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Rule


def _merge(weight: float) -> Merge:
    inputs = {"a": Source(model="./a"), "b": Source(model="./b")}
    rule = Rule(inputs={"a": {"weight": weight}, "b": {"weight": 0.5}})
    return Merge(method="linear", inputs=inputs, rules=(rule,))


def test_recipes_are_equal_where_their_digests_are() -> None:
    values: list[float] = [0, 0.0, -0.0, False, 1, 1.0, True, 0.5]
    for first, second in itertools.product(values, repeat=2):
        one, other = _merge(first), _merge(second)
        assert (one == other) == (digest(one) == digest(other)), (first, second)
    assert _merge(1.0) == _merge(1.0)


def test_the_digests_of_today_stay() -> None:
    assert digest(_merge(1)) == "8b26ddc05f9d14e78bc143f7886461d8dcfb6c7d58779c73944a39b2a2ab3ef3"
    assert digest(_merge(1.0)) == "ee3a624e18f913a856238c1cb1c4b95c258dc64d23eea441415ae9730b544157"


def test_true_is_no_number() -> None:
    with pytest.raises(RecipeError, match="weight: must be a number, got true"):
        check_methods(_merge(True), signatures(), origin="recipe")
    check_methods(_merge(1), signatures(), origin="recipe")
