"""Model folders: whole or not at all, and equal to what an engine would be given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from evomerge.errors import SourceError, UserError
from evomerge.merging.checkpoint import write_checkpoint
from evomerge.merging.inventory import read_inventory
from evomerge.merging.weights import MergedWeights
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Merge, Rule, Stack
from evomerge.recipe.yaml import read_recipe
from tests.merging.conftest import Family, tiny_tensors, write_model


@pytest.fixture
def recipe(family: Family) -> Merge:
    weights = {"m": {"weight": 1.0}, "j": {"weight": 2.0}}
    return Merge(
        method="linear", inputs={"m": family.math, "j": family.json}, rules=(Rule(inputs=weights),)
    )


def test_the_folder_holds_the_weights_and_what_loads_them(recipe: Merge, tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    out = tmp_path / "deep" / "model"
    write_checkpoint(
        recipe, out, card="# card", progress=lambda done, total: heard.append((done, total))
    )
    saved = load_file(out / "model.safetensors")
    given = dict(MergedWeights(recipe).tensors())
    assert saved.keys() == given.keys()
    assert all(torch.equal(saved[name], given[name]) for name in saved)
    assert heard[-1] == (len(given), len(given))
    assert (out / "README.md").read_text() == "# card"
    assert read_recipe(out / "recipe.yaml") == recipe
    assert (out / "tokenizer.json").exists()
    assert [path.name for path in out.parent.iterdir()] == ["model"], "a temporary folder was left"


def test_shards_have_an_index(recipe: Merge, tmp_path: Path) -> None:
    write_checkpoint(recipe, tmp_path / "m", card="", shard_bytes=600)
    index = json.loads((tmp_path / "m" / "model.safetensors.index.json").read_text())
    inventory = read_inventory(tmp_path / "m")
    assert len(set(index["weight_map"].values())) > 2
    assert {name: info.file for name, info in inventory.tensors.items()} == index["weight_map"]
    whole = dict(MergedWeights(recipe).tensors())
    assert index["metadata"]["total_size"] == sum(t.numel() * 2 for t in whole.values())
    for name, info in inventory.tensors.items():
        assert torch.equal(load_file(tmp_path / "m" / info.file)[name], whole[name])


def test_dtype_is_written_into_the_configuration(recipe: Merge, tmp_path: Path) -> None:
    write_checkpoint(recipe, tmp_path / "m", card="", dtype="float32")
    assert json.loads((tmp_path / "m" / "config.json").read_text())["dtype"] == "float32"
    assert read_inventory(tmp_path / "m").tensors["model.norm.weight"].dtype == "F32"


def test_a_stack_changes_the_number_of_layers(family: Family, tmp_path: Path) -> None:
    hops = tuple(Hop(of="a", layer=layer) for layer in (0, 1, 2, 1, 2))
    stack = Stack(inputs={"a": family.base}, embedding="a", head="a", hops=hops)
    write_checkpoint(stack, tmp_path / "m", card="")
    assert read_inventory(tmp_path / "m").layers == 5


def test_a_folder_that_holds_something_is_refused(recipe: Merge, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "precious").write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        write_checkpoint(recipe, tmp_path / "m", card="")
    assert (tmp_path / "m" / "precious").read_text() == "mine"


def test_a_merge_that_fails_leaves_nothing_behind(family: Family, tmp_path: Path) -> None:
    tensors = tiny_tensors(5)
    tensors["model.norm.weight"][0] = float("inf")
    broken = Source(model=str(write_model(family.folder / "broken", tensors)))
    with pytest.raises(SourceError, match=r"model\.norm\.weight"):
        write_checkpoint(broken, tmp_path / "out" / "m", card="")
    assert list((tmp_path / "out").iterdir()) == []
