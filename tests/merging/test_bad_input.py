"""What is wrong with a model is said in one sentence, before or during a merge; nothing is left."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from evomerge import writers
from evomerge.errors import CandidateError, EvomergeError, RecipeError, SourceError, UserError
from evomerge.merging.checkpoint import write_checkpoint
from evomerge.merging.shards import plan, write_shards
from evomerge.models.inventory import INDEX
from evomerge.publish import whole_folder
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Merge, Rule, Stack
from evomerge.recipe.yaml import dump_recipe
from tests.families import Family, tiny_tensors, write_model
from tests.merging.test_shards import specs

Q1 = "model.layers.1.self_attn.q_proj.weight"


def linear(one: Source, two: Source, **weights: float) -> Merge:
    each = {name: {"weight": weights.get(name, 1.0)} for name in ("a", "b")}
    return Merge(method="linear", inputs={"a": one, "b": two}, rules=(Rule(inputs=each),))


def refused(recipe: Merge | Source, out: Path, error: type[EvomergeError] = SourceError) -> str:
    """Merge what cannot be merged; what was said. Nothing may be left, under any name."""
    with pytest.raises(error) as raised:
        writers.merge(recipe, out / "model")
    assert not out.exists() or list(out.iterdir()) == []
    assert "\n" not in str(raised.value)
    return str(raised.value)


def sharded(folder: Path, tensors: dict[str, Tensor]) -> Path:
    """The same model in several files."""
    write_model(folder, tensors)
    (folder / "model.safetensors").unlink()
    write_shards(plan(specs(tensors), 600), tensors.items(), folder)
    return folder


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("method", ["linear", "task_arithmetic", "ties"])
def test_weights_that_are_not_finite(
    method: str, value: float, family: Family, tmp_path: Path
) -> None:
    tensors = tiny_tensors(4)
    tensors[Q1][3, 3] = value
    broken = Source(model=str(write_model(tmp_path / "broken", tensors)))
    base = None if method == "linear" else "base"
    recipe = Merge(
        method=method,
        base=base,
        inputs={"base": family.base, "broken": broken, "math": family.math},
        rules=(Rule(inputs={n: {"weight": 0.5} for n in ("base", "broken", "math") if n != base}),),
    )
    assert refused(recipe, tmp_path / "out").endswith(f"broken: the tensor '{Q1}' is not finite")


@pytest.mark.parametrize("first", [True, False])
def test_a_tensor_that_one_parent_lacks(first: bool, family: Family, tmp_path: Path) -> None:
    tensors = tiny_tensors(4)
    del tensors[Q1]
    lacking = Source(model=str(write_model(tmp_path / "lacking", tensors)))
    pair = (lacking, family.math) if first else (family.math, lacking)
    assert f"lacking has no tensor '{Q1}'" in refused(linear(*pair), tmp_path / "out")


def test_a_tied_head_may_be_left_out_of_one(family: Family, tmp_path: Path) -> None:
    tensors = tiny_tensors(4)
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    saved = Source(model=str(write_model(tmp_path / "saved", tensors)))
    writers.merge(linear(family.math, saved), tmp_path / "out")
    assert "lm_head.weight" not in load_file(tmp_path / "out" / "model.safetensors")


def test_another_shape(family: Family, tmp_path: Path) -> None:
    tensors = tiny_tensors(4)
    tensors[Q1] = tensors[Q1][:4].clone()
    other = Source(model=str(write_model(tmp_path / "other", tensors)))
    said = refused(linear(family.math, other), tmp_path / "out")
    assert f"{Q1} has shape [8, 8] in" in said
    assert said.endswith(f"and [4, 8] in {tmp_path / 'other'}")


def _second(folder: Path) -> Path:
    return sorted(folder.glob("*.safetensors"))[1]


def _cut(folder: Path) -> None:
    path = _second(folder)
    os.truncate(path, path.stat().st_size - 10)


def _cut_in_header(folder: Path) -> None:
    os.truncate(_second(folder), 20)


def _remove(folder: Path) -> None:
    _second(folder).unlink()


def _lengthen(folder: Path) -> None:
    with _second(folder).open("ab") as file:
        file.write(b"more")


def _promise(folder: Path) -> None:
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"]["model.extra"] = _second(folder).name
    (folder / INDEX).write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_cut, "safetensors: truncated, "),
        (_cut_in_header, "safetensors: not a safetensors file, or truncated"),
        (_remove, "safetensors: no such file"),
        (_lengthen, "bytes follow the last tensor"),
        (_promise, f"{INDEX}: the tensor 'model.extra' is not in model-00002"),
    ],
)
def test_shards_that_are_damaged(
    damage: Callable[[Path], None], said: str, family: Family, tmp_path: Path
) -> None:
    folder = sharded(tmp_path / "sharded", tiny_tensors(4))
    assert len(list(folder.glob("*.safetensors"))) > 2
    damage(folder)
    heard = refused(linear(family.math, Source(model=str(folder))), tmp_path / "out")
    assert said in heard
    assert "model-00002-of-" in heard


def test_an_index_without_a_map(family: Family, tmp_path: Path) -> None:
    folder = sharded(tmp_path / "sharded", tiny_tensors(4))
    (folder / INDEX).write_text("{}")
    heard = refused(linear(family.math, Source(model=str(folder))), tmp_path / "out")
    assert heard.endswith(f"{INDEX}: no key weight_map, from tensor names to files")


def test_bfloat16_and_float32_together(family: Family, tmp_path: Path) -> None:
    exact = tiny_tensors(4, torch.float32)
    wide = Source(model=str(write_model(tmp_path / "wide", exact)))
    out = tmp_path / "out"
    writers.merge(linear(family.math, wide, a=1.0, b=3.0), out)
    merged = load_file(out / "model.safetensors")
    for name, tensor in merged.items():
        mean = tiny_tensors(1)[name].float() * 0.25 + exact[name] * 0.75
        assert tensor.dtype == torch.bfloat16  # the donor's
        assert torch.allclose(tensor.float(), mean, rtol=2**-8)


def test_buffers_are_copied_from_the_base(family: Family, tmp_path: Path) -> None:
    sources = {}
    for seed, name in enumerate(("base", "a", "b")):
        tensors = tiny_tensors(seed)
        tensors["model.layers.1.positions"] = torch.arange(5) + (1 << 40) + seed
        tensors["model.mask"] = torch.tensor([seed == 0, True])
        tensors["model.small"] = torch.tensor([seed], dtype=torch.uint8)
        sources[name] = Source(model=str(write_model(tmp_path / name, tensors)))
    recipe = Merge(
        method="task_arithmetic",
        base="base",
        inputs=sources,
        rules=(Rule(inputs={name: {"weight": 0.5} for name in ("a", "b")}),),
    )
    writers.merge(recipe, tmp_path / "out", dtype="float32")
    merged = load_file(tmp_path / "out" / "model.safetensors")
    assert torch.equal(merged["model.layers.1.positions"], torch.arange(5) + (1 << 40))
    assert torch.equal(merged["model.mask"], torch.tensor([True, True]))
    assert torch.equal(merged["model.small"], torch.tensor([0], dtype=torch.uint8))
    assert merged[Q1].dtype == torch.float32


def test_a_stacks_buffers_are_those_of_its_layers(tmp_path: Path) -> None:
    sources = {}
    for seed, name in enumerate(("a", "b")):
        tensors = tiny_tensors(seed)
        for layer in range(3):
            tensors[f"model.layers.{layer}.positions"] = torch.tensor([10 * seed + layer])
        sources[name] = Source(model=str(write_model(tmp_path / name, tensors)))
    hops = (Hop(of="a", layer=0), Hop(of="b", layer=2), Hop(of="a", layer=1))
    stack = Stack(inputs=sources, embedding="a", head="a", hops=hops)
    write_checkpoint(stack, tmp_path / "out", card="")
    merged = load_file(tmp_path / "out" / "model.safetensors")
    assert [int(merged[f"model.layers.{i}.positions"]) for i in range(3)] == [0, 12, 1]


def test_quantised_tensors(family: Family, tmp_path: Path) -> None:
    tensors: dict[str, Tensor] = dict(tiny_tensors(4))
    tensors[Q1] = tensors[Q1].to(torch.float8_e4m3fn)
    quantised = Source(model=str(write_model(tmp_path / "fp8", tensors)))
    said = refused(linear(family.math, quantised), tmp_path / "out")
    assert f"fp8/model.safetensors: the tensor '{Q1}' is of type F8_E4M3" in said
    assert "name the model that it was made from" in said


@pytest.mark.parametrize(
    ("each", "said"),
    [
        ({"density": 0.0}, "rules.0.m: density: must be above 0"),
        ({"density": 1.5}, "rules.0.m: density: must be at most 1"),
        ({"dens": 0.5}, "did you mean 'density'?"),
    ],
)
def test_parameters_out_of_range(
    each: dict[str, float], said: str, family: Family, tmp_path: Path
) -> None:
    recipe = Merge(
        method="ties",
        base="base",
        inputs={"base": family.base, "m": family.math},
        rules=(Rule(inputs={"m": {"weight": 1.0, **each}}),),
    )
    assert said in refused(recipe, tmp_path / "out", RecipeError)


@pytest.mark.parametrize("names", [("m",), ("m", "j", "x")])
def test_too_few_and_too_many_inputs(
    names: tuple[str, ...], family: Family, tmp_path: Path
) -> None:
    models = {"m": family.math, "j": family.json, "x": family.lora}
    inputs = {name: models[name] for name in names}
    rules = (Rule(inputs={name: {"weight": 1.0} for name in names}),)
    recipe = Merge(method="nuslerp", inputs=inputs, rules=rules)
    said = refused(recipe, tmp_path / "out", RecipeError)
    assert f"method 'nuslerp' takes 2 inputs, got {len(names)}" in said


def test_weights_that_sum_to_zero(family: Family, tmp_path: Path) -> None:
    recipe = linear(family.math, family.json, a=1.0, b=-1.0)
    assert "[1.0, -1.0] sum to 0" in refused(recipe, tmp_path / "out", CandidateError)


def test_a_disk_without_room(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=r"takes [\d.]+ GiB, and [\d.]+ GiB are free"),
        whole_folder(tmp_path / "out" / "model", size=1 << 60),
    ):
        raise AssertionError("nothing may be begun")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.process
def test_a_file_that_may_not_be_written(family: Family, tmp_path: Path) -> None:
    """The system's limit on a file's size stands in for a disk that fills up on the way."""
    (tmp_path / "recipe.yaml").write_text(dump_recipe(linear(family.math, family.json)))
    code = "from evomerge.commands.main import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", code, "merge", "recipe.yaml", "--out", "out/model"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
    )
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.startswith("evomerge: out/model: cannot be written (File too")
    assert ended.stderr.count("\n") == 1
    assert list((tmp_path / "out").iterdir()) == []
