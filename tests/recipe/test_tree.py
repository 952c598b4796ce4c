"""The recipe tree: what it accepts, what it refuses, and that equal recipes share a digest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evomerge.errors import RecipeError
from evomerge.recipe.digest import digest, plain
from evomerge.recipe.selector import Place, Selector
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Rule, Segments, Stack, sources_of
from evomerge.recipe.yaml import dump_recipe, parse_recipe, read_recipe

TIES: dict[str, Any] = {
    "kind": "merge",
    "method": "ties",
    "base": "base",
    "inputs": {"base": {"model": "org/base"}, "math": {"model": "org/math"}},
    "rules": [
        {"where": {"layers": [0, 10], "component": "attention"}, "math": {"weight": 0.7}},
        {"where": {}, "math": {"weight": 0.5}},
    ],
}


def recipe(**changes: Any) -> Any:
    return parse_recipe({**TIES, **changes}, origin="r.yaml", folder=Path("/nowhere"))


def test_first_matching_rule_wins_and_the_last_matches_all() -> None:
    merge = recipe()
    assert merge.rule_for(Place(3, "attention")).inputs["math"]["weight"] == 0.7
    assert merge.rule_for(Place(3, "mlp")).inputs["math"]["weight"] == 0.5
    assert merge.rule_for(Place(10, "attention")).inputs["math"]["weight"] == 0.5
    assert merge.rule_for(Place(None, "embedding")).inputs["math"]["weight"] == 0.5


@pytest.mark.parametrize(
    "where",
    [
        Selector(),
        Selector(layers=(0, 2), component="mlp", name="up_proj"),
        Selector(layers=(0, 2), tower="vision"),
        Selector(tower="decoder", experts=(1, 3)),
    ],
)
@pytest.mark.parametrize("mode", ["json", "python"])
def test_a_rule_writes_its_selector_as_that_writes_itself(where: Selector, mode: str) -> None:
    written = Rule(where=where).model_dump(mode=mode)["where"]
    itself = where.model_dump(mode=mode, exclude_none=True)
    assert list(written.items()) == list(itself.items())


def test_plain_data_reads_back_to_an_equal_recipe() -> None:
    merge = recipe()
    again = parse_recipe(plain(merge), origin="again", folder=Path("/nowhere"))
    assert again == merge
    assert digest(again) == digest(merge)


def test_yaml_reads_back_to_an_equal_recipe(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(dump_recipe(recipe()))
    assert read_recipe(path) == recipe()


def test_order_of_keys_does_not_change_the_digest() -> None:
    turned = {**TIES, "inputs": dict(reversed(TIES["inputs"].items()))}
    assert digest(recipe(inputs=turned["inputs"])) == digest(recipe())


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"method": "dare_ties"}, {"options": {"lambda": 0.9}}]
)
def test_every_part_changes_the_digest(change: dict[str, Any]) -> None:
    assert digest(recipe(**change)) != digest(recipe())


def test_no_statistics_leave_the_digest_as_it_was() -> None:
    source = Source(model="org/math")
    assert plain(source) == {"kind": "source", "model": "org/math"}
    assert digest(source) != digest(Source(model="org/math", statistics="s"))


def test_a_folder_of_statistics_is_relative_to_the_file(tmp_path: Path) -> None:
    data = {"kind": "source", "model": "org/math", "statistics": "./measured"}
    found = parse_recipe(data, origin="r", folder=tmp_path)
    assert isinstance(found, Source)
    assert found.statistics == str(tmp_path / "measured")


def test_local_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "models" / "math").mkdir(parents=True)
    data = {**TIES, "inputs": {"base": {"model": "org/base"}, "math": {"model": "models/math"}}}
    merge = parse_recipe(data, origin="r", folder=tmp_path)
    models = [source.model for source in sources_of(merge)]
    assert models == ["org/base", str(tmp_path / "models" / "math")]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({**TIES, "mthod": "ties"}, "unknown key 'mthod'; did you mean 'method'?"),
        ({**TIES, "rules": []}, "the last rule must match all"),
        ({**TIES, "rules": [{"where": {"layers": [0, 3]}}]}, "the last rule must match all"),
        ({**TIES, "rules": [{"where": {"layer": [0, 3]}}]}, "did you mean 'layers'?"),
        ({**TIES, "rules": [{"where": {}, "mth": {"weight": 1}}]}, "did you mean 'math'?"),
        ({**TIES, "rules": [{"where": {"layers": [3, 3]}}]}, "0 <= first < end"),
        ({**TIES, "base": "bas"}, "did you mean 'base'?"),
        ({**TIES, "inputs": {}}, "needs inputs"),
        ({**TIES, "inputs": {"where": {"model": "x"}}, "base": None}, "may not be called 'where'"),
        ({**TIES, "inputs": {"base": {"modl": "x"}}}, "inputs.base.modl'; did you mean"),
        ({**TIES, "options": {"lambda": float("nan")}}, "finite"),
        ({**TIES, "kind": "mrege"}, "no kind of recipe 'mrege'; did you mean 'merge'?"),
        ([1, 2], "is missing"),
    ],
)
def test_refusals_name_the_key_and_the_law(data: Any, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(data if isinstance(data, dict) else {}, origin="r.yaml", folder=Path())
    message = str(caught.value)
    assert message.startswith("r.yaml: ")
    assert said in message
    assert "\n" not in message


def test_a_stack_names_inputs_that_exist() -> None:
    stack = {"kind": "stack", "inputs": {"a": {"model": "x"}}, "embedding": "a", "head": "a"}
    good = parse_recipe({**stack, "hops": [{"of": "a", "layer": 0}]}, origin="r", folder=Path())
    assert isinstance(good, Stack)
    with pytest.raises(RecipeError, match="at least one hop"):
        parse_recipe({**stack, "hops": []}, origin="r", folder=Path())
    with pytest.raises(RecipeError, match="a hop's input names 'b'"):
        parse_recipe({**stack, "hops": [{"of": "b", "layer": 0}]}, origin="r", folder=Path())


SEGMENTS: dict[str, Any] = {
    "kind": "segments",
    "base": "math",
    "inputs": {"math": {"model": "org/math"}, "json": {"model": "org/json"}},
    "chromosomes": [
        {
            "where": {"component": "attention"},
            "ends": [5, 9],
            "coefficients": {"math": [0.5, 1.0], "json": [0.5, 0.0]},
        },
        {"ends": [7], "coefficients": {"json": [1.0]}},
    ],
}


def segments(first: dict[str, Any], **changes: Any) -> Any:
    one, two = SEGMENTS["chromosomes"]
    data = SEGMENTS | {"chromosomes": [one | first, two]} | changes
    return parse_recipe(data, origin="r.yaml", folder=Path("/nowhere"))


def test_segments_read_back_to_an_equal_recipe(tmp_path: Path) -> None:
    recipe = segments({})
    assert isinstance(recipe, Segments)
    path = tmp_path / "recipe.yaml"
    path.write_text(dump_recipe(recipe))
    assert read_recipe(path) == recipe
    assert digest(read_recipe(path)) == digest(recipe)
    assert [one.model for one in sources_of(recipe)] == ["org/math", "org/json"]


@pytest.mark.parametrize(
    ("first", "changes", "law"),
    [
        ({"ends": [9, 5]}, {}, "chromosomes.0: ends: positions that ascend"),
        ({"ends": []}, {}, "chromosomes.0: ends: positions that ascend"),
        ({"ends": [0, 5]}, {}, "chromosomes.0.ends.0: must be above 0"),
        ({"coefficients": {"math": [1.0]}}, {}, "coefficients.math: one for each of the 2 ranges"),
        ({"coefficients": {"mth": [1, 1]}}, {}, "names 'mth', which is not an input"),
        ({"coefficients": {"math": [1.0, float("nan")]}}, {}, "finite number"),
        ({}, {"base": "other"}, "base names 'other', which is not an input"),
        ({}, {"chromosomes": []}, "the last chromosome must match all tensors"),
        ({}, {"chromosomes": SEGMENTS["chromosomes"][:1]}, "the last chromosome must match all"),
    ],
)
def test_laws_of_segments(first: dict[str, Any], changes: dict[str, Any], law: str) -> None:
    with pytest.raises(RecipeError) as caught:
        segments(first, **changes)
    assert law in str(caught.value)


def test_nested_inputs_are_recipes_of_their_own() -> None:
    outer = recipe(inputs={"base": {"model": "b"}, "math": TIES}, rules=[{"where": {}}])
    assert isinstance(outer.inputs["math"], Merge)
    assert [source.model for source in sources_of(outer)] == ["b", "org/base", "org/math"]


def test_recipes_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        recipe().method = "linear"


def test_selector_without_restriction_matches_tensors_outside_the_layers() -> None:
    assert Selector().matches(Place(None, None))
    up = Place(3, "mlp", "model.layers.3.mlp.up_proj.weight")
    assert Selector(name="up_proj").matches(up)
    assert Selector(name="up_proj", layers=(3, 4)).matches(up)
    assert not Selector(name="up_proj", layers=(4, 5)).matches(up)
    assert not Selector(name="down_proj").matches(up)
    assert not Selector(name="up_proj").matches_all
    assert not Selector(layers=(0, 9)).matches(Place(None, "embedding"))
    assert Rule().where.matches_all
    assert Source(model="x").kind == "source"
