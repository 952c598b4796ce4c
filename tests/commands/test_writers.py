"""Making models and adapters from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from evomerge.config import read_job
from evomerge.recipe.genome import FloatGene
from evomerge.study.record import Study
from tests.commands.recipes import adapters, stack
from tests.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "here")
    made.write()
    return made


def test_merging_a_recipe_writes_a_model_once(place: Place) -> None:
    recipe = {
        "kind": "merge",
        "method": "linear",
        "inputs": {"a": {"model": "models/base"}, "b": {"model": "models/math"}},
        "rules": [{"where": {}, "a": {"weight": 1}, "b": {"weight": 1}}],
    }
    (place.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    ended = place.run("merge", "recipe.yaml", "--out", "merged")
    assert ended.returncode == 0, ended.stderr
    assert (place.folder / "merged" / "model.safetensors").exists()
    assert "exists already" in place.refuses("merge", "recipe.yaml", "--out", "merged")


def test_merging_adapters_into_one(place: Place) -> None:
    adapters(place, "task_arithmetic")
    into = ("merge", "recipe.yaml", "--format", "adapter")
    ended = place.run(*into, "--out", "merged")
    assert ended.returncode == 0, ended.stderr
    assert {path.name for path in (place.folder / "merged").iterdir()} == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "recipe.yaml",
    }
    assert "library_name: peft" in (place.folder / "merged" / "README.md").read_text()
    assert "exists already" in place.refuses(*into, "--out", "merged")
    assert place.run(*into, "--out", "cut", "--rank", "1").returncode == 0
    config = json.loads((place.folder / "cut" / "adapter_config.json").read_text())
    assert config["r"] == 1
    refused = place.refuses("merge", "recipe.yaml", "--out", "model", "--rank", "1")
    assert "--rank sets the rank of an adapter" in refused


def test_what_is_not_one_adapter(place: Place) -> None:
    adapters(place, "ties")
    said = "recipe.yaml: the result is not one adapter: method 'ties' (family elementwise)"
    assert said in place.refuses("merge", "recipe.yaml", "--out", "m", "--format", "adapter")


def test_adapter_methods_refuse_what_is_no_adapter(place: Place) -> None:
    recipe = adapters(place, "lorahub")
    recipe["inputs"]["o"] = {"model": "models/math"}
    (place.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    said = "recipe.yaml: method 'lorahub' merges LoRA adapters on one model; 'o' has no adapter"
    for command in (("check", "recipe.yaml"), ("merge", "recipe.yaml", "--out", "m")):
        assert said in place.refuses(*command)


def test_exporting_a_candidate_as_an_adapter(place: Place) -> None:
    recipes = {"t": adapters(place, "task_arithmetic"), "s": adapters(place, "ties")}
    job = read_job(place.folder / "job.yaml").model_dump(mode="json")
    genes = [FloatGene(name="g", low=0, high=1)]
    for name, recipe in recipes.items():
        for source in recipe["inputs"].values():
            source |= {key: str(place.folder / path) for key, path in source.items()}
        with Study.create(place.folder / name, name=name, job=job, genes=genes) as study:
            study.put("winner", {"label": "candidate 3", "recipe": recipe, "fitness": 1.0})
    ended = place.run("export", "t", "--out", "adapter", "--format", "adapter")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "adapter: candidate 3\n"
    assert "# t, candidate 3" in (place.folder / "adapter" / "README.md").read_text()
    assert (place.folder / "adapter" / "adapter_model.safetensors").exists()
    said = place.refuses("export", "s", "--out", "other", "--format", "adapter")
    assert "s: candidate 3: the result is not one adapter: method 'ties'" in said
    assert "--format hf" in place.refuses("export", "t", "--out", "other", "--rank", "2")


SCALED = [{"of": "math", "layer": 0}, {"of": "json", "layer": 0, "scale": 0.9}]
CODE = "modeling_evomerge_stack.py"


def test_merging_astack(place: Place) -> None:
    """Plain where that says everything and nothing else is asked for."""
    stack(place)
    assert place.run("merge", "path.yaml", "--out", "plain").returncode == 0
    assert not (place.folder / "plain" / CODE).exists()
    folded = place.run("merge", "path.yaml", "--out", "folded", "--format", "stack")
    assert folded.returncode == 0, folded.stderr
    assert (place.folder / "folded" / CODE).exists()
    stack(place, hops=SCALED)
    scaled = place.run("merge", "path.yaml", "--out", "scaled")
    assert scaled.returncode == 0, scaled.stderr
    assert (place.folder / "scaled" / CODE).exists()
    (place.folder / "source.yaml").write_text("model: models/math")
    said = "source.yaml: the format stack is for a recipe of kind stack, and this is a source"
    assert said in place.refuses("merge", "source.yaml", "--out", "m", "--format", "stack")
    said = "a hop that scales its input has no equivalent in mergekit"
    assert said in place.refuses("convert", "path.yaml")
    stack(place, hops=[SCALED[0] | {"scale": float("nan")}])
    assert "hops.0.scale" in place.refuses("merge", "path.yaml", "--out", "m")


def test_exporting_astack(place: Place) -> None:
    job = read_job(place.folder / "job.yaml").model_dump(mode="json")
    genes = [FloatGene(name="g", low=0, high=1)]
    for name, hops in (("plain", [SCALED[0]] * 2), ("scaled", SCALED)):
        recipe = stack(place, hops=hops)
        for source in recipe["inputs"].values():
            source["model"] = str(place.folder / source["model"])
        with Study.create(place.folder / name, name=name, job=job, genes=genes) as study:
            study.put("winner", {"label": "recommendation", "recipe": recipe, "fitness": 1.0})
    assert place.run("export", "plain", "--out", "a").returncode == 0
    assert place.run("export", "plain", "--out", "b", "--format", "stack").returncode == 0
    assert place.run("export", "scaled", "--out", "c").returncode == 0
    assert [(place.folder / name / CODE).exists() for name in "abc"] == [False, True, True]
    assert place.run("export", "plain", "--out", "m", "--format", "mergekit").returncode == 0
    said = "scaled: recommendation: a hop that scales its input has no equivalent in mergekit"
    assert said in place.refuses("export", "scaled", "--out", "n", "--format", "mergekit")


@pytest.mark.parametrize("command", ["plot", "export"])
def test_help_shows_an_option_by_its_present_name_alone(place: Place, command: str) -> None:
    shown = place.run(command, "--help").stdout
    assert "--candidate" in shown
    assert "--trial" not in shown
