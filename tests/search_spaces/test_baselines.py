"""What every search is compared with."""

from __future__ import annotations

import pytest

from evomerge.operators import signatures
from evomerge.recipe.check import check_methods
from evomerge.recipe.source import Source
from evomerge.recipe.tokenizer import TokenizerChoice
from evomerge.recipe.tree import Merge, Recipe
from evomerge.search_spaces.baselines import PLAIN_LAMBDA, PlainMerges, common_base

SOURCES: dict[str, Recipe] = {
    name: Source(model=f"./{name}") for name in ("base", "json", "math", "spell")
}
PARENTS = {name: SOURCES[name] for name in ("json", "math", "spell")}
PLAIN = PlainMerges(PARENTS, ("base", SOURCES["base"]))


def weights(recipe: Recipe | None) -> dict[str, float]:
    assert isinstance(recipe, Merge)
    (rule,) = recipe.rules
    return {name: float(one["weight"]) for name, one in rule.inputs.items()}


def test_base_parents_and_plain_merges_in_this_order() -> None:
    made = PLAIN.baselines()
    assert list(made) == ["base", "json", "math", "spell", "uniform merge", "task arithmetic"]
    assert [made[name] for name in SOURCES] == list(SOURCES.values())
    assert weights(made["uniform merge"]) == {"json": 1.0, "math": 1.0, "spell": 1.0}
    summed = made["task arithmetic"]
    assert isinstance(summed, Merge)
    assert summed.options == {"lambda": PLAIN_LAMBDA}
    for recipe in made.values():
        check_methods(recipe, signatures(), origin="r")


def test_without_a_base_there_is_no_task_arithmetic() -> None:
    plain = PlainMerges(PARENTS)
    assert list(plain.baselines()) == ["json", "math", "spell", "uniform merge"]
    assert plain.task_arithmetic(0.5, ["json", "math"]) is None


def test_one_parent_alone_has_no_mean() -> None:
    plain = PlainMerges({"math": SOURCES["math"]}, ("base", SOURCES["base"]))
    assert list(plain.baselines()) == ["base", "math", "task arithmetic"]


def test_some_of_the_parents_are_merged_without_the_others() -> None:
    uniform = PLAIN.uniform(["json", "math"])
    assert list(uniform.inputs) == ["json", "math"]
    summed = PLAIN.task_arithmetic(0.7, ["json", "math"])
    assert summed is not None
    assert list(summed.inputs) == ["base", "json", "math"]
    assert summed.options == {"lambda": 0.7}
    assert weights(summed) == {"json": 1.0, "math": 1.0}


def test_a_base_among_the_parents_is_averaged_and_has_no_task_vector() -> None:
    plain = PlainMerges(SOURCES, ("base", SOURCES["base"]))
    made = plain.baselines()
    assert list(made)[:4] == ["base", "json", "math", "spell"]
    assert set(weights(made["uniform merge"])) == set(SOURCES)
    assert set(weights(made["task arithmetic"])) == set(PARENTS)
    check_methods(made["task arithmetic"], signatures(), origin="r")


@pytest.mark.parametrize("choice", [{"source": "base"}, {"source": "spell"}])
def test_with_a_tokenizer_all_parents_have_a_part_in_the_vocabulary(
    choice: dict[str, str],
) -> None:
    tokenizer = TokenizerChoice.model_validate(choice)
    plain = PlainMerges(PARENTS, ("base", SOURCES["base"]), tokenizer)
    uniform = plain.uniform(["json", "math"])
    assert (uniform.tokenizer, uniform.base) == (tokenizer, "base")
    assert weights(uniform) == {"json": 1.0, "math": 1.0, "spell": 0.0}
    assert weights(plain.task_arithmetic(0.7, ["json"])) == {"json": 1.0, "math": 0.0, "spell": 0.0}
    made = plain.baselines()
    assert weights(made["math"]) == {"json": 0.0, "math": 1.0, "spell": 0.0}
    for recipe in made.values():
        check_methods(recipe, signatures(), origin="r")


def test_adapters_on_one_model_have_it_as_their_base() -> None:
    on = Source(model="./base", revision="abc")
    lora = [on.model_copy(update={"adapter": name}) for name in ("a", "b")]
    assert common_base(lora) == on
    measured = lora[0].model_copy(update={"statistics": "./measured"})
    assert common_base([measured, lora[1]]) == on
    assert common_base([*lora, on]) is None
    assert common_base([lora[0], Source(model="./other", adapter="a")]) is None
    assert common_base([PLAIN.uniform(["json"])]) is None
