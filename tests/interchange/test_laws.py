"""What is written can be built: what breaks a law is refused, with mergekit's words for it."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from evomerge.errors import ConfigError, UserError
from evomerge.interchange.convert import convert
from evomerge.merging.weights import MergedWeights
from evomerge.models.anatomy import anatomy_of
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe, Stack
from evomerge.recipe.yaml import parse_recipe
from tests.interchange.conftest import LAYERS, Llamas

PAIR = "models: [{model: a, parameters: {weight: 0.7}}, {model: b, parameters: {weight: 0.4}}]\n"


def converted(text: str, llamas: Llamas, folder: Path) -> tuple[Recipe, list[str]]:
    file = folder / "config.yaml"
    file.write_text(text)
    with contextlib.chdir(llamas.folder):
        recipe, warnings = convert(file)
    return parse_recipe(yaml.safe_load(recipe), origin="recipe", folder=folder), warnings


def merge_of(text: str, llamas: Llamas, folder: Path) -> Merge:
    recipe, _ = converted(text, llamas, folder)
    assert isinstance(recipe, Merge)
    return recipe


def of(merge: Merge, tensor: str) -> dict[str, Any]:
    """What the rules give a tensor: options and, by input, parameters."""
    rule = merge.rule_for(anatomy_of([tensor]).place(tensor))
    return {**merge.options, **rule.options, **{k: dict(v) for k, v in rule.inputs.items()}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: [{model: a}]\nmerge_method: linear", "weight is missing for a (at model.layers"),
        (
            (
                "models: [{model: a, parameters: {weight: [{filter: mlp, value: 1}]}}]\n"
                "merge_method: task_arithmetic\nbase_model: base"
            ),
            "weight is missing for a (at model.layers.0.input_layernorm.weight)",
        ),
        ("models: [{model: base}, {model: a}]\nmerge_method: slerp\nbase_model: base", "t is miss"),
        (
            "models: [{model: a}]\nmerge_method: slerp\nbase_model: a\nparameters: {t: 0.5}",
            "slerp merges 1 model beside the base_model, got 0 (none)",
        ),
        (
            "models: [{model: a}, {model: b}]\nmerge_method: slerp\nparameters: {t: 0.5}",
            "base_model: slerp needs one",
        ),
        (f"{PAIR}merge_method: ties", "base_model: ties needs one"),
        (f"{PAIR}merge_method: arcee_fusion\nbase_model: base", "merges 1 model beside the base"),
        (f"{PAIR}merge_method: model_stock", "base_model: model_stock needs one"),
        (
            (
                "models: [{model: base}, {model: a}]\nmerge_method: slerp\nbase_model: base\n"
                "parameters: {t: [0, 2]}"
            ),
            "t: must be at most 1",
        ),
        (
            f"{PAIR}merge_method: della\nbase_model: base\nparameters: {{density: 0.1}}",
            "needs epsilon < density < 1 - epsilon",
        ),
        (
            f"{PAIR}merge_method: ties\nbase_model: base\nparameters: {{density: -0.1}}",
            "density of a: at least 0",
        ),
        (
            PAIR.replace("0.4", "-0.7") + "merge_method: linear",
            "weights that sum to 0",
        ),
        (
            (
                f"{PAIR}merge_method: dare_linear\nbase_model: base\n"
                "parameters: {density: [0, 1], normalize: true}"
            ),
            "density 0 of a with normalize",
        ),
        (PAIR.replace("0.4", ".nan") + "merge_method: linear", ".nan is no number"),
        (PAIR.replace("0.4", "'inf'") + "merge_method: linear", "a number is wanted, got 'inf'"),
        (PAIR.replace("0.4", "1e999") + "merge_method: linear", "a number is wanted, got '1e999'"),
        (PAIR.replace("0.4", "heavy") + "merge_method: linear", "a number is wanted, got 'heavy'"),
        (f"{PAIR}merge_method: linear\nparameters: {{normalize: 2}}", "true or false is wanted"),
        (f"{PAIR}merge_method: linear\ndtype: float8", "dtype: a model is written in one of"),
        ("models: {model: a}\nmerge_method: linear", "models: a list of models is wanted"),
        ("models: [{model: a+b+c}]\nmerge_method: linear", "cannot read the model 'a+b+c'"),
        ("models: [{model: a@1@2}]\nmerge_method: linear", "cannot read the model 'a@1@2'"),
        (
            "models: [{model: {model: a, override_architecture: X}}]\nmerge_method: linear",
            "override_architecture",
        ),
    ],
)
def test_what_could_not_be_built_is_not_written(
    text: str, said: str, llamas: Llamas, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=re.escape(said)) as caught:
        converted(text, llamas, tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "config.yaml"))
    assert "rules." not in str(caught.value)


def test_models_that_are_no_siblings_are_refused(llamas: Llamas, tmp_path: Path) -> None:
    text = f"models: [{{model: a}}, {{model: {tmp_path / 'gone'}}}]\nmerge_method: linear"
    with pytest.raises(UserError, match="no such model folder"):
        converted(text, llamas, tmp_path)


def test_a_density_of_0_keeps_nothing(llamas: Llamas, tmp_path: Path) -> None:
    text = PAIR.replace("0.7", "0.7, density: [0, 0.5, 2]")
    text += "merge_method: ties\nbase_model: base"
    merge = merge_of(text, llamas, tmp_path)
    up = "model.layers.{}.mlp.up_proj.weight"
    assert of(merge, up.format(0))["a"] == {"weight": 0.0, "density": 1.0}
    assert of(merge, up.format(1))["a"] == {"weight": 0.7, "density": pytest.approx(1 / 3)}
    assert of(merge, up.format(3))["a"] == {"weight": 0.7, "density": 1.0}  # all that there is
    without = merge_of(f"{PAIR.replace('0.7', '0')}merge_method: ties\nbase_model: base",
                       llamas, tmp_path)  # fmt: skip
    mine, theirs = (dict(MergedWeights(each, "float32").tensors()) for each in (merge, without))
    assert torch.equal(mine[up.format(0)], theirs[up.format(0)])


def test_switches_are_read_as_files_write_them(llamas: Llamas, tmp_path: Path) -> None:
    for written, meant in (("1.0", True), ("0.0", False), ("'false'", False), ("[1, 0]", True)):
        text = f"{PAIR}merge_method: linear\nparameters: {{normalize: {written}, int8_mask: 1.0}}"
        merge = merge_of(text, llamas, tmp_path)
        assert of(merge, "model.layers.0.mlp.up_proj.weight")["normalize"] is meant


def test_a_model_that_is_given_twice_is_two_inputs(llamas: Llamas, tmp_path: Path) -> None:
    text = PAIR.replace("model: b", "model: a") + "merge_method: linear"
    recipe, warnings = converted(text, llamas, tmp_path)
    assert isinstance(recipe, Merge)
    assert sorted(recipe.inputs) == ["a", "a_2"]
    assert of(recipe, "model.norm.weight")["a"] == {"weight": 0.7}
    assert of(recipe, "model.norm.weight")["a_2"] == {"weight": 0.4}
    assert any("the same model stands there twice" in warning for warning in warnings)


def test_a_model_merges_with_its_own_next_layers(llamas: Llamas, tmp_path: Path) -> None:
    text = """slices:
  - sources: [{model: a, layer_range: [0, 3]}, {model: a, layer_range: [1, 4]}]
merge_method: slerp
base_model: a
parameters: {t: 0.5}
"""
    recipe, _ = converted(text, llamas, tmp_path)
    assert isinstance(recipe, Stack)
    (part,) = recipe.inputs.values()
    assert isinstance(part, Merge)
    layers = {
        name: [hop.layer for hop in child.hops]
        for name, child in part.inputs.items()
        if isinstance(child, Stack)
    }
    assert layers == {"a": [0, 1, 2], "a_2": [1, 2, 3]}


def test_revisions_of_models_and_adapters(llamas: Llamas, tmp_path: Path) -> None:
    from evomerge.interchange.diagnosis import Diagnosis
    from evomerge.interchange.references import References

    reader = References(Diagnosis("file", []), tmp_path, {})
    parts = {"model": {"path": "org/a", "revision": "v1"}, "lora": {"path": "org/l"}}
    for reference, wanted in {
        "org/a@v1": Source(model="org/a", revision="v1"),
        "org/a@v1+org/l@v2": Source(
            model="org/a", revision="v1", adapter="org/l", adapter_revision="v2"
        ),
        "org/a+org/l@v2": Source(model="org/a", adapter="org/l", adapter_revision="v2"),
    }.items():
        assert reader.inputs[reader.name(reference)] == wanted
    name = reader.name(parts)
    assert reader.inputs[name] == Source(model="org/a", revision="v1", adapter="org/l")
    assert reader.name(parts) == name
    assert reader.name({"model": "org/a@v1"}) == reader.name("org/a@v1")
    (tmp_path / "here@home").mkdir()
    assert reader.inputs[reader.name("here@home")] == Source(model=str(tmp_path / "here@home"))


def test_documents_stand_in_any_order(llamas: Llamas, tmp_path: Path) -> None:
    last = "models: [{model: first, parameters: {weight: 1}}]\nmerge_method: linear\n"
    text = f"{last}---\nname: first\n{PAIR}merge_method: linear\n"
    merge = merge_of(text, llamas, tmp_path)
    assert isinstance(merge.inputs["first"], Merge)
    for wrong, said in (
        (f"{last}---\n{last}", "document 2: has no name"),
        (f"name: x\n{PAIR}merge_method: linear\n---\nname: x\n{last}", "another document's"),
        (f"name: first\n{last}", "is made of itself: first <- first"),
        (f"name: x\n{last}---\nname: first\n{last.replace('first', 'x')}", "first <- x <- first"),
    ):
        with pytest.raises(ConfigError, match=said):
            converted(wrong, llamas, tmp_path)


def test_keys_without_effect_are_told_wherever_they_stand(llamas: Llamas, tmp_path: Path) -> None:
    text = """slices:
  - sources:
      - {model: a, layer_range: [0, 4], paramaters: {scale: 0.1}}
    residual_weight: 0.5
    paramters: {}
merge_method: passthrough
base_model: b
parameters: {weight: 1}
"""
    _, warnings = converted(text, llamas, tmp_path)
    said = "\n".join(warnings)
    assert "'slices.sources.paramaters' has no effect in mergekit; did you mean 'par" in said
    assert "residual_weight has no effect" in said
    assert "'slices.paramters' has no effect" in said
    assert "'parameters.weight' has no effect" in said
    assert "configuration and tokenizer are those of a" in said


def test_depth_and_filters_follow_the_rule(llamas: Llamas, tmp_path: Path) -> None:
    """Gradients with a filter each and a fallback, as mergekit's own examples have them."""
    text = f"""slices:
  - sources: [{{model: base, layer_range: [0, {LAYERS}]}}, {{model: a, layer_range: [0, {LAYERS}]}}]
merge_method: slerp
base_model: base
parameters:
  t:
    - {{filter: self_attn, value: [0, 0.5, 0.3, 0.7, 1]}}
    - {{filter: mlp, value: [1, 0.5, 0.7, 0.3, 0]}}
    - {{value: 0.5}}
dtype: float16
"""
    recipe, warnings = converted(text, llamas, tmp_path)
    assert isinstance(recipe, Merge)
    assert any("--dtype float16" in warning for warning in warnings)
    for layer in range(LAYERS):
        depth = layer / (LAYERS - 1) * 4  # in pieces between the five knots
        left = min(int(depth), 3)
        share = depth - left
        for kind, values in (
            ("self_attn.q_proj", (0, 0.5, 0.3, 0.7, 1)),
            ("mlp.up_proj", (1, 0.5, 0.7, 0.3, 0)),
        ):
            wanted = (1 - share) * values[left] + share * values[left + 1]
            found = of(recipe, f"model.layers.{layer}.{kind}.weight")["t"]
            assert found == pytest.approx(wanted)
        assert of(recipe, f"model.layers.{layer}.input_layernorm.weight")["t"] == 0.5
    assert of(recipe, "model.embed_tokens.weight")["t"] == 0.5


def test_weights_and_densities_over_depth_begin_at_embedding_and_head(
    llamas: Llamas, tmp_path: Path
) -> None:
    text = """models:
  - {model: a, parameters: {density: [1, 0.7, 0.1], weight: 1}}
  - {model: b, parameters: {density: 0.5, weight: [0, 0.3, 0.7, 1]}}
  - model: c
    parameters: {density: 0.33, weight: [{filter: mlp, value: 0.5}, {value: 0}]}
merge_method: ties
base_model: base
parameters: {normalize: true, int8_mask: true}
"""
    merge = merge_of(text, llamas, tmp_path)
    for layer, weight in enumerate((0, 0.3, 0.7, 1)):
        found = of(merge, f"model.layers.{layer}.self_attn.k_proj.weight")
        assert found["b"]["weight"] == pytest.approx(weight)
        assert found["c"]["weight"] == 0
        inside = of(merge, f"model.layers.{layer}.mlp.down_proj.weight")
        assert inside["c"] == {"weight": 0.5, "density": 0.33}
    for tensor in ("model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"):
        found = of(merge, tensor)
        assert found["a"] == {"weight": 1, "density": 1}
        assert found["b"] == {"weight": 0, "density": 0.5}
        assert found["normalize"] is True
