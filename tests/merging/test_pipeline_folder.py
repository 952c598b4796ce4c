"""Merged pipelines as folders: each component where diffusers looks for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import evomerge
from evomerge.errors import UserError
from evomerge.merging.checkpoint import write_checkpoint
from evomerge.models.anatomy import anatomy_of
from evomerge.models.inventory import read_inventory
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe
from evomerge.recipe.yaml import parse_recipe
from tests.models.test_pipeline import as_variant, indexed
from tests.pipelines import write_pipeline

FILES = {
    "text_encoder": "model.safetensors",
    "unet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
}


def recipe_of(folder: Path, *rules: dict[str, Any], base: str = "a") -> Recipe:
    """Rules over the pipelines a and b, the last of which averages."""
    inputs = {name: {"model": str(folder / name)} for name in "ab"}
    last = {"where": {}, "a": {"weight": 0.5}, "b": {"weight": 0.5}}
    recipe = {"kind": "merge", "method": "linear", "base": base, "inputs": inputs}
    return parse_recipe(recipe | {"rules": [*rules, last]}, origin="r", folder=folder)


def stored(folder: Path) -> dict[str, Tensor]:
    """All tensors of a pipeline by their component and name."""
    return {
        f"{component}/{name}": tensor
        for component, file in FILES.items()
        for name, tensor in load_file(folder / component / file).items()
    }


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    for seed, name in enumerate("ab"):
        write_pipeline(tmp_path / name, seed)
    return tmp_path


def test_rules_by_component_and_block(pair: Path) -> None:
    first = {"where": {"tower": "vae"}, "a": {"weight": 0.0}, "b": {"weight": 1.0}}
    where = {"tower": "unet", "layers": [2, 4], "component": "attention"}
    second = {"where": where, "a": {"weight": 0.25}, "b": {"weight": 0.75}}
    assert evomerge.merge(recipe_of(pair, first, second), pair / "out") == []
    a, b, out = stored(pair / "a"), stored(pair / "b"), stored(pair / "out")
    assert out.keys() == a.keys()
    anatomy, quarters = anatomy_of(sorted(a)), 0
    for name, tensor in out.items():
        at = anatomy.place(name)
        share = 1.0 if at.tower == "vae" else 0.5
        if at.tower == "unet" and at.layer in (2, 3) and at.component == "attention":
            share, quarters = 0.75, quarters + 1
        torch.testing.assert_close(tensor, (1 - share) * a[name] + share * b[name])
    assert quarters == 3 * 10  # three transformers in mid_block and up_blocks.0


def test_the_donors_other_files_travel(pair: Path) -> None:
    indexed(pair / "a", _name_or_path="/somewhere")
    evomerge.merge(recipe_of(pair), pair / "out")
    for path in (
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
        "scheduler/scheduler_config.json",
        "unet/config.json",
        "text_encoder/config.json",
    ):
        texts = [(pair / name / path).read_text() for name in ("a", "out")]
        if path.endswith(".txt"):
            assert texts[0] == texts[1]
        else:
            assert json.loads(texts[0]) == json.loads(texts[1]), path
    index = json.loads((pair / "out" / "model_index.json").read_text())
    assert index["unet"] == ["diffusers", "UNet2DConditionModel"]
    assert "_name_or_path" not in index
    assert {"README.md", "recipe.yaml"} < {path.name for path in (pair / "out").iterdir()}
    assert read_inventory(pair / "out").tensors.keys() == read_inventory(pair / "a").tensors.keys()
    card = (pair / "out" / "README.md").read_text()
    assert "library_name: diffusers" in card
    assert "StableDiffusionPipeline.from_pretrained(folder)" in card


def test_a_variant_is_written_under_the_plain_name(pair: Path) -> None:
    as_variant(pair / "a")
    evomerge.merge(recipe_of(pair), pair / "out", dtype="float16")
    out, b = stored(pair / "out"), stored(pair / "b")
    assert {tensor.dtype for tensor in out.values()} == {torch.float16}
    assert out.keys() == b.keys()
    encoder = json.loads((pair / "out" / "text_encoder" / "config.json").read_text())
    assert encoder["torch_dtype"] == "float16"
    assert "dtype" not in json.loads((pair / "out" / "unet" / "config.json").read_text())


def test_large_components_are_written_in_shards(pair: Path) -> None:
    recipe = recipe_of(pair)
    whole, apart = pair / "whole", pair / "apart"
    write_checkpoint(recipe, whole, card="")
    heard: list[tuple[int, int]] = []

    def note(done: int, total: int) -> None:
        heard.append((done, total))

    write_checkpoint(recipe, apart, card="", shard_bytes=20_000, progress=note)
    names = [path.name for path in (apart / "unet").glob("*.safetensors*")]
    index = "diffusion_pytorch_model.safetensors.index.json"
    count = len(names) - 1
    assert count > 1
    parts = {
        f"diffusion_pytorch_model-0000{n}-of-0000{count}.safetensors" for n in range(1, count + 1)
    }
    assert set(names) == {index, *parts}
    listed = json.loads((apart / "unet" / index).read_text())["weight_map"]
    assert set(listed.values()) == parts
    assert read_inventory(apart).parameters == read_inventory(whole).parameters
    assert heard[-1] == (len(stored(whole)), len(stored(whole)))


def test_one_component_is_written_as_one(pair: Path) -> None:
    sources = {name: {"model": str(pair / name / "unet")} for name in "ab"}
    rule = {"where": {"layers": [0, 5]}, "a": {"weight": 1.0}, "b": {"weight": 0.0}}
    last = {"where": {}, "a": {"weight": 0.5}, "b": {"weight": 0.5}}
    recipe = {"kind": "merge", "method": "linear", "base": "a", "inputs": sources}
    made = parse_recipe(recipe | {"rules": [rule, last]}, origin="r", folder=pair)
    evomerge.merge(made, pair / "out", dtype="bfloat16")
    out = load_file(pair / "out" / "diffusion_pytorch_model.safetensors")
    a, b = (load_file(pair / name / "unet" / FILES["unet"]) for name in "ab")
    name = "mid_block.resnets.0.conv1.weight"
    torch.testing.assert_close(out[name], a[name].bfloat16())
    name = "conv_in.weight"
    torch.testing.assert_close(out[name], ((a[name] + b[name]) / 2).bfloat16())
    assert "dtype" not in json.loads((pair / "out" / "config.json").read_text())


@pytest.mark.parametrize(
    ("method", "parameters"),
    [("linear", {"weight": 0.5}), ("ties", {"weight": 0.8, "density": 0.4})],
)
def test_a_component_in_a_pipeline_is_merged_as_it_is_alone(
    pair: Path, method: str, parameters: dict[str, float]
) -> None:
    write_pipeline(pair / "base", 2)
    made = {}
    for component in ("", "unet", "vae", "text_encoder"):
        inputs = {name: {"model": str(pair / name / component)} for name in ("base", "a", "b")}
        own = {"a": parameters, "b": parameters}
        if method == "linear":
            own["base"] = parameters
        recipe = {"kind": "merge", "method": method, "base": "base", "inputs": inputs}
        rules = [{"where": {}, **own}]
        parsed = parse_recipe(recipe | {"rules": rules}, origin="r", folder=pair)
        evomerge.merge(parsed, pair / "out" / (component or "whole"))
        made[component] = pair / "out" / (component or "whole")
    whole = stored(made[""])
    for component, file in FILES.items():
        for name, tensor in load_file(made[component] / file).items():
            assert torch.equal(whole[f"{component}/{name}"], tensor)
    assert not torch.equal(
        whole["unet/conv_in.weight"], stored(pair / "base")["unet/conv_in.weight"]
    )


@pytest.mark.parametrize("keep", [False, True])
def test_code_in_a_pipeline_is_left_out_unless_it_is_asked_for(pair: Path, keep: bool) -> None:
    (pair / "a" / "unet" / "own_unet.py").write_text("class Own: ...")
    indexed(pair / "a", unet=["own_unet", "Own"])
    source = Source(model=str(pair / "a"))
    (said,) = evomerge.merge(source, pair / "out", keep_code=keep)
    assert ("carries the Python files" if keep else "is left out of the result") in said
    assert (pair / "out" / "unet" / "own_unet.py").exists() is keep


def test_nothing_is_left_of_a_pipeline_that_cannot_be_copied(pair: Path) -> None:
    (pair / "a" / "guider").mkdir()
    (pair / "a" / "guider" / "notes.md").touch()
    indexed(pair / "a", guider=["diffusers", "Guider"])
    with pytest.raises(UserError, match="guider: neither weights nor a file of"):
        evomerge.merge(Source(model=str(pair / "a")), pair / "out")
    assert not (pair / "out").exists()
