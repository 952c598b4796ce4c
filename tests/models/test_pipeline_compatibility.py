"""Pipelines as parents: what must be the same, what is said, and what cannot be done with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from evomerge.errors import UserError
from evomerge.recipe.yaml import parse_recipe
from evomerge.searching.recipe_plan import RecipePlan
from tests.families import tiny_tensors, write_model
from tests.models.test_pipeline import indexed
from tests.pipelines import UNET, drawn, unet_shapes, write_component, write_pipeline


def planned(folder: Path, *models: str, **changes: Any) -> RecipePlan:
    """The average of models in the folder; `changes`: other keys of the recipe."""
    inputs = {f"m{number}": {"model": str(folder / own)} for number, own in enumerate(models)}
    rules = [{"where": {}, **{name: {"weight": 0.5} for name in inputs}}]
    recipe = {"kind": "merge", "method": "linear", "base": "m0", "inputs": inputs, "rules": rules}
    return RecipePlan(parse_recipe(recipe | changes, origin="r.yaml", folder=folder), "r.yaml")


def configured(path: Path, **changes: object) -> None:
    """Change a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _inpainting(folder: Path) -> None:
    nine = unet_shapes() | {"conv_in.weight": (4, 9, 3, 3)}
    write_component(folder / "unet", drawn(nine, 1), UNET)


@pytest.mark.parametrize(
    ("change", "law"),
    [
        (
            lambda own: indexed(own, vae=[None, None]),
            "/a has the component 'vae' and {folder}/b has none; to merge the others, set it",
        ),
        (
            lambda own: configured(own / "unet/config.json", _class_name="UNet2DModel"),
            "of unet: {folder}/a has UNet2DConditionModel, {folder}/b has UNet2DModel; only",
        ),
        (
            lambda own: configured(own / "unet/config.json", attention_head_dim=4),
            "differ in attention_head_dim of unet: {folder}/a has 2, {folder}/b has 4",
        ),
        (
            lambda own: configured(own / "text_encoder/config.json", model_type="t5"),
            "differ in model_type of text_encoder",
        ),
        (_inpainting, "unet/conv_in.weight has shape [4, 4, 3, 3] in {folder}/a"),
        (
            lambda own: configured(own / "tokenizer/vocab.json", ab=7),
            "{folder}/a/tokenizer/vocab.json and {folder}/b/tokenizer/vocab.json differ",
        ),
        (
            lambda own: (own / "tokenizer/merges.txt").write_text("b a\n"),
            "{folder}/b/tokenizer/merges.txt differ: their embeddings' rows would not mean",
        ),
    ],
)
def test_parents_that_do_not_fit(
    tmp_path: Path, change: Callable[[Path], object], law: str
) -> None:
    write_pipeline(tmp_path / "a", 0)
    change(write_pipeline(tmp_path / "b", 1))
    with pytest.raises(UserError) as heard:
        planned(tmp_path, "a", "b").check()
    said = str(heard.value)
    assert said.startswith("r.yaml: ")
    assert law.format(folder=tmp_path) in said
    assert "\n" not in said


def test_a_pipeline_is_merged_with_pipelines_alone(tmp_path: Path) -> None:
    for seed, name in enumerate("ab"):
        write_pipeline(tmp_path / name, seed)
    write_model(tmp_path / "llama", tiny_tensors(0))
    for other in ("llama", "b/unet"):
        for pair in (("a", other), (other, "a")):
            with pytest.raises(UserError, match=r"is a diffusers pipeline and .* one model"):
                planned(tmp_path, *pair).check()
    with pytest.raises(UserError, match="differ in _class_name: "):
        planned(tmp_path, "a/unet", "b/vae").check()
    assert planned(tmp_path, "a/unet", "b/unet").check() == []


def test_what_is_worth_saying(tmp_path: Path) -> None:
    a = write_pipeline(tmp_path / "a", 0)
    b = write_pipeline(tmp_path / "b", 1, prediction_type="v_prediction", steps_offset=0)
    (b / "tokenizer/merges.txt").write_text("#version: 0.1\na b\na b</w>\n")
    configured(b / "unet/config.json", sample_size=16, _diffusers_version="0.1")
    configured(b / "text_encoder/config.json", torch_dtype="float16")
    scheduler = "scheduler/scheduler_config.json"
    assert planned(tmp_path, "a", "b").check() == [
        f"{b}/unet/config.json has another sample_size than {a}/unet/config.json, which is taken",
        f"{b / scheduler} has another prediction_type than {a / scheduler}, which is taken",
    ]


@pytest.mark.parametrize(
    ("changes", "law"),
    [
        ({"tokenizer": {"source": "base"}}, "the tokens of diffusers pipelines are not mapped"),
        ({"adapter": "lora"}, "on which no adapter is read; let diffusers fuse it"),
        ({"statistics": "lora"}, "whose statistics cannot be measured"),
        ({"dequantize": True}, "cannot make one of a diffusers pipeline"),
    ],
)
def test_what_cannot_be_done(tmp_path: Path, changes: Mapping[str, Any], law: str) -> None:
    for seed, name in enumerate("ab"):
        write_pipeline(tmp_path / name, seed)
    (tmp_path / "lora").mkdir()
    if "tokenizer" not in changes:
        places = {
            key: str(tmp_path / own) if own == "lora" else own for key, own in changes.items()
        }
        one, two = ({"model": str(tmp_path / name)} for name in "ab")
        changes = {"inputs": {"m0": one, "m1": two | places}}
    with pytest.raises(UserError) as heard:
        planned(tmp_path, "a", "b", **changes).check()
    assert law in str(heard.value)
    assert str(heard.value).startswith("r.yaml")


@pytest.mark.parametrize("model", ["a", "a/unet"])
def test_a_stack_is_refused(tmp_path: Path, model: str) -> None:
    write_pipeline(tmp_path / "a", 0)
    hops = [{"of": "m0", "layer": 0}]
    stack = {"kind": "stack", "embedding": "m0", "head": "m0", "hops": hops}
    inputs = {"m0": {"model": str(tmp_path / model)}}
    recipe = parse_recipe({**stack, "inputs": inputs}, origin="r", folder=tmp_path)
    with pytest.raises(UserError, match="a stack of a diffusers model"):
        RecipePlan(recipe, "r").check()


@pytest.mark.parametrize(
    ("where", "law"),
    [
        ({"tower": "unett"}, "no tower 'unett'; the model has text_encoder, unet, vae"),
        ({"tower": "unet", "layers": [0, 6]}, "[0, 6] goes beyond the unet's 5 layers"),
        ({"layers": [0, 2]}, "the towers text_encoder, unet, vae, each with layers of its own"),
    ],
)
def test_selectors_name_a_component(tmp_path: Path, where: Mapping[str, Any], law: str) -> None:
    for seed, name in enumerate("ab"):
        write_pipeline(tmp_path / name, seed)
    half = {name: {"weight": 0.5} for name in ("m0", "m1")}
    rules = [{"where": where, **half}, {"where": {}, **half}]
    with pytest.raises(UserError) as heard:
        planned(tmp_path, "a", "b", rules=rules).check()
    assert law in str(heard.value)


def test_what_check_prints(tmp_path: Path) -> None:
    for seed, name in enumerate("ab"):
        write_pipeline(tmp_path / name, seed)
    plan = planned(tmp_path, "a", "b")
    assert plan.cost()["layers"] == "text_encoder 3, unet 5, vae 6"
    assert plan.cost()["components"] == "attention, mlp, norm, embedding"
