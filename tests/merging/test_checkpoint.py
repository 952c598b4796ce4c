"""Model folders: whole or not at all, and equal to what an engine would be given."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from evomerge.errors import SourceError, UserError
from evomerge.merging.checkpoint import write_checkpoint
from evomerge.merging.weights import MergedWeights
from evomerge.models.blueprint import blueprint
from evomerge.models.headers import Headers
from evomerge.models.inventory import read_inventory
from evomerge.recipe.layer_path import in_use
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Merge, Rule, Stack
from evomerge.recipe.yaml import read_recipe
from tests.families import Family, tiny_tensors, write_model


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


def test_a_stacks_layers_keep_their_kinds(tmp_path: Path) -> None:
    """`layer_types` lists what each layer is; a list of another length loads nowhere."""
    kinds = ["full_attention", "sliding_attention", "full_attention"]
    for name, listed in (("a", kinds), ("b", kinds[::-1]), ("c", None)):
        extra = {"layer_types": listed} if listed else {}
        write_model(tmp_path / name, tiny_tensors(0), **extra)
    inputs = {name: Source(model=str(tmp_path / name)) for name in "abc"}
    hops = [Hop(of="a", layer=1), Hop(of="b", layer=0), Hop(of="a", layer=1)]
    for other, expected in (("b", [kinds[1], "full_attention", kinds[1]]), ("c", None)):
        hops[1] = Hop(of=other, layer=0)
        pair = {"a": inputs["a"], other: inputs[other]}
        stack = Stack(inputs=pair, embedding="a", head="a", hops=tuple(hops))
        write_checkpoint(stack, tmp_path / f"with-{other}", card="")
        config = json.loads((tmp_path / f"with-{other}" / "config.json").read_text())
        assert config.get("layer_types") == expected


def test_code_of_the_donors_own_stays_behind(tmp_path: Path) -> None:
    own = {"AutoModel": "modeling_own.Own"}
    write_model(tmp_path / "a", tiny_tensors(0), auto_map=own, audio_config={"auto_map": own})
    (tmp_path / "a" / "modeling_own.py").write_text("class Own: ...")
    (tmp_path / "a" / "tokenizer_config.json").write_text(json.dumps({"auto_map": own, "x": "é"}))
    write_checkpoint(Source(model=str(tmp_path / "a")), tmp_path / "m", card="")
    assert not list((tmp_path / "m").glob("*.py"))
    assert not [path for path in (tmp_path / "m").glob("*.json") if "auto_map" in path.read_text()]
    assert json.loads((tmp_path / "m" / "tokenizer_config.json").read_text()) == {"x": "é"}


def test_code_of_the_donors_own_goes_with_it_where_it_is_asked_for(tmp_path: Path) -> None:
    write_model(tmp_path / "a", tiny_tensors(0), auto_map={"AutoModel": "modeling_own.Own"})
    write_model(tmp_path / "b", tiny_tensors(0))
    for name in "ab":
        (tmp_path / name / "modeling_own.py").write_text("class Own: ...")
        source = Source(model=str(tmp_path / name))
        write_checkpoint(source, tmp_path / f"{name}2", card="", keep_code=True)
    assert (tmp_path / "a2" / "modeling_own.py").read_text() == "class Own: ..."
    assert not (tmp_path / "b2" / "modeling_own.py").exists()


@pytest.mark.parametrize("name", ["vocab.json", "chat_template.jinja", "modeling_own.py"])
def test_a_device_or_a_pipe_among_the_donors_files_is_not_waited_for(
    tmp_path: Path, name: str
) -> None:
    """A companion that is no file is none; code that was asked for is missed in a sentence."""
    write_model(tmp_path / "a", tiny_tensors(0), auto_map={"AutoModel": "modeling_own.Own"})
    source = Source(model=str(tmp_path / "a"))
    for kind in ("device", "pipe"):
        if kind == "device":
            (tmp_path / "a" / name).symlink_to("/dev/zero")
        else:
            os.mkfifo(tmp_path / "a" / name)
        out = tmp_path / kind
        wanted = pytest.raises(SourceError, match="a file is wanted, and this is a")
        with wanted if name.endswith(".py") else contextlib.nullcontext():
            write_checkpoint(source, out, card="", keep_code=True)
        assert out.exists() is not name.endswith(".py")
        assert not (out / name).exists()
        (tmp_path / "a" / name).unlink()


def test_a_form_says_what_is_written_instead(family: Family, tmp_path: Path) -> None:
    hops = tuple(Hop(of="a", layer=layer, scale=0.5) for layer in (0, 1, 1))
    stack = Stack(inputs={"a": family.base}, embedding="a", head="a", hops=hops)
    stored, _ = in_use(stack)
    layout = replace(
        blueprint(stored, Headers()).configured({"model_type": "other", "answer": 42}),
        files={"code.py": "x = 1"},
    )
    write_checkpoint(stack, tmp_path / "m", card="", layout=layout)
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert (config["model_type"], config["answer"], config["num_hidden_layers"]) == ("other", 42, 2)
    assert (tmp_path / "m" / "code.py").read_text() == "x = 1"
    assert read_recipe(tmp_path / "m" / "recipe.yaml") == stack


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
