"""Making models, adapters and statistics from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from evomerge.config import read_job
from evomerge.recipe.genome import FloatGene
from evomerge.recipe.tree import Stack
from evomerge.recipe.yaml import parse_recipe
from evomerge.study.record import Study
from tests.measuring.conftest import Trained
from tests.place import Place

PATH = [("math", 0), ("math", 1), ("json", 1), ("json", 2)]


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


def _adapters(place: Place, method: str, **rule: Any) -> dict[str, Any]:
    """A recipe over the family's adapters, written to recipe.yaml."""
    base = {"model": "models/base"}
    recipe = {
        "kind": "merge",
        "method": method,
        "base": "base",
        "inputs": {
            "base": base,
            "l": base | {"adapter": "models/lora"},
            "o": base | {"adapter": "models/other-lora"},
        },
        "rules": [{"where": {}, "l": {"weight": 0.5}, "o": {"weight": -1}, **rule}],
    }
    (place.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return recipe


def test_merging_adapters_into_one(place: Place) -> None:
    _adapters(place, "task_arithmetic")
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
    _adapters(place, "ties")
    said = "recipe.yaml: the result is not one adapter: method 'ties' (family elementwise)"
    assert said in place.refuses("merge", "recipe.yaml", "--out", "m", "--format", "adapter")


def test_adapter_methods_refuse_what_is_no_adapter(place: Place) -> None:
    recipe = _adapters(place, "lorahub")
    recipe["inputs"]["o"] = {"model": "models/math"}
    (place.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    said = "recipe.yaml: method 'lorahub' merges LoRA adapters on one model; 'o' has no adapter"
    for command in (("check", "recipe.yaml"), ("merge", "recipe.yaml", "--out", "m")):
        assert said in place.refuses(*command)


def test_exporting_a_candidate_as_an_adapter(place: Place) -> None:
    recipes = {"t": _adapters(place, "task_arithmetic"), "s": _adapters(place, "ties")}
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


def test_measuring_and_merging_with_what_was_measured(place: Place) -> None:
    trained = Trained(place.folder / "trained")
    small = ("--examples", "1", "--length", "16", "--device", "cpu")
    for name in ("math", "json"):
        text, out = f"trained/{name}.jsonl", f"of-{name}"
        ended = place.run("measure", f"trained/{name}", "--text", text, "--out", out, *small)
        assert ended.returncode == 0, ended.stderr
    inputs = {n: {"model": f"trained/{n}", "statistics": f"of-{n}"} for n in trained.texts}
    for method in ("fisher", "regmean"):
        recipe = {"kind": "merge", "method": method, "inputs": inputs}
        (place.folder / "r.yaml").write_text(yaml.safe_dump(recipe))
        assert place.run("check", "r.yaml").returncode == 0
        assert place.run("merge", "r.yaml", "--out", method).returncode == 0
    inputs["json"]["statistics"] = "of-math"
    (place.folder / "r.yaml").write_text(yaml.safe_dump(recipe))
    assert "these are statistics of" in place.refuses("check", "r.yaml")
    again = ("measure", "trained/math", "--text", "trained/math.jsonl", "--out", "of-math")
    assert "exists already" in place.refuses(*again)
    assert "did you mean 'gram'?" in place.refuses(*again[:-1], "new", "--what", "gramm")
    assert "is no source" in place.refuses("measure", "r.yaml", "--out", "new")


def test_measuring_what_matters_to_a_job(place: Place) -> None:
    place.write()
    ended = place.run("measure", "job.yaml", "--what", "importance", "--out", "matters")
    assert (ended.returncode, ended.stdout) == (0, "matters\n"), ended.stderr
    about = json.loads((place.folder / "matters" / "importance.json").read_text())
    assert set(about["models"]) == {"base", "json", "math"}
    both = ("measure", "job.yaml", "--what", "fisher,importance", "--out", "new")
    assert "importance is measured of a job, and by itself" in place.refuses(*both)
    assert "is measured of a job; give its YAML file" in place.refuses(
        "measure", "models/base", "--what", "importance", "--out", "new"
    )


def test_learning_coefficients(place: Place) -> None:
    trained = Trained(place.folder / "trained")
    inputs = {n: {"model": f"trained/{n}"} for n in ("base", "math", "json")}
    recipe = {"kind": "merge", "method": "expert_merging", "base": "base", "inputs": inputs}
    (place.folder / "r.yaml").write_text(yaml.safe_dump(recipe))
    texts = [f"--text={name}={path}" for name, path in trained.texts.items()]
    learn = ("learn", "r.yaml", *texts, "--device", "cpu", "--set", "length=16")
    ended = place.run(*learn, "--set", "steps=1", "--out", "learned")
    assert ended.returncode == 0, ended.stderr
    assert yaml.safe_load(ended.stdout)["inputs"]["math"]["statistics"].endswith("learned/math")
    merged = place.run("merge", "learned/recipe.yaml", "--out", "merged")
    assert merged.returncode == 0, merged.stderr
    out = ("--out", "new")
    assert "unknown key 'step'; did you mean 'steps'?" in place.refuses(
        *learn, "--set", "step=1", *out
    )
    assert "expected NAME=VALUE" in place.refuses("learn", "r.yaml", "--text", "math", *out)
    assert "is given twice" in place.refuses(*learn, texts[0], *out)
    recipe["method"] = "ties"
    (place.folder / "r.yaml").write_text(yaml.safe_dump(recipe))
    assert "nothing to learn for 'ties'" in place.refuses(*learn, *out)


def _stack(place: Place, **changes: Any) -> dict[str, Any]:
    """A data-flow recipe over the family, written to path.yaml."""
    recipe = {
        "kind": "stack",
        "inputs": {"math": {"model": "models/math"}, "json": {"model": "models/json"}},
        "embedding": "math",
        "head": "math",
        "hops": [{"of": of, "layer": layer} for of, layer in PATH],
    } | changes
    (place.folder / "path.yaml").write_text(yaml.safe_dump(recipe))
    return recipe


SCALED = [{"of": "math", "layer": 0}, {"of": "json", "layer": 0, "scale": 0.9}]
CODE = "modeling_evomerge_stack.py"


def test_merging_a_stack(place: Place) -> None:
    """Plain where that says everything and nothing else is asked for."""
    _stack(place)
    assert place.run("merge", "path.yaml", "--out", "plain").returncode == 0
    assert not (place.folder / "plain" / CODE).exists()
    folded = place.run("merge", "path.yaml", "--out", "folded", "--format", "stack")
    assert folded.returncode == 0, folded.stderr
    assert (place.folder / "folded" / CODE).exists()
    _stack(place, hops=SCALED)
    scaled = place.run("merge", "path.yaml", "--out", "scaled")
    assert scaled.returncode == 0, scaled.stderr
    assert (place.folder / "scaled" / CODE).exists()
    (place.folder / "source.yaml").write_text("model: models/math")
    said = "source.yaml: the format stack is for a recipe of kind stack, and this is a source"
    assert said in place.refuses("merge", "source.yaml", "--out", "m", "--format", "stack")
    said = "a hop that scales its input has no equivalent in mergekit"
    assert said in place.refuses("convert", "path.yaml")
    _stack(place, hops=[SCALED[0] | {"scale": float("nan")}])
    assert "hops.0.scale" in place.refuses("merge", "path.yaml", "--out", "m")


def test_exporting_a_stack(place: Place) -> None:
    job = read_job(place.folder / "job.yaml").model_dump(mode="json")
    genes = [FloatGene(name="g", low=0, high=1)]
    for name, hops in (("plain", [SCALED[0]] * 2), ("scaled", SCALED)):
        recipe = _stack(place, hops=hops)
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


def test_a_path_is_drawn_in_the_format_that_the_name_says(place: Place) -> None:
    _stack(place)
    for suffix, magic in ((".svg", b"<?xml"), (".png", b"\x89PNG"), (".pdf", b"%PDF")):
        ended = place.run("plot", "path.yaml", "--out", f"pictures/path{suffix}")
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout == f"pictures/path{suffix}: path\n"
        assert (place.folder / "pictures" / f"path{suffix}").read_bytes().startswith(magic)
    assert "exists already" in place.refuses("plot", "path.yaml", "--out", "pictures/path.svg")


def test_what_cannot_be_drawn(place: Place) -> None:
    _adapters(place, "ties")
    draw = ("--out", "path.svg")
    said = "recipe.yaml: a merge has no path to draw; only a stack has (data flow)"
    assert said in place.refuses("plot", "recipe.yaml", *draw, "--view", "path")
    (place.folder / "source.yaml").write_text("model: models/math")
    said = "source.yaml: no weights to draw, since a source is one model"
    assert said in place.refuses("plot", "source.yaml", *draw)
    said = "--view lineage is of a study, but recipe.yaml is no study's folder"
    assert said in place.refuses("plot", "recipe.yaml", *draw, "--view", "lineage")
    assert "models: is not a study" in place.refuses("plot", "models", *draw)
    assert "no such file" in place.refuses("plot", "nothing.yaml", *draw)
    _stack(place)
    said = "path.jpeg: a picture's name ends in one of .pdf, .png, .svg, not in '.jpeg'"
    assert said in place.refuses("plot", "path.yaml", "--out", "path.jpeg")
    assert "not in ''" in place.refuses("plot", "path.yaml", "--out", "path")
    said = "--candidate names a candidate of a study, but path.yaml is no study's folder"
    assert said in place.refuses("plot", "path.yaml", *draw, "--candidate", "3")
    _stack(place, hops=[{"of": "math", "layer": 3}])
    said = "path.yaml: hops.0: layer 3 of 'math', which has 3 (0 to 2)"
    assert said in place.refuses("plot", "path.yaml", *draw)


def test_the_weights_of_a_recipe_are_drawn(place: Place) -> None:
    _adapters(place, "ties")
    ended = place.run("plot", "recipe.yaml", "--out", "weights.svg")
    assert ended.stdout == "weights.svg: recipe\n", ended.stderr
    assert (place.folder / "weights.svg").read_bytes().startswith(b"<?xml")
    ended = place.run("plot", "recipe.yaml")
    assert ended.stdout == "recipe.svg: recipe\n", ended.stderr
    assert (place.folder / "recipe.svg").exists()
    assert "recipe.svg: exists already" in place.refuses("plot", "recipe.yaml")


def test_a_path_is_drawn_where_the_models_are_not_at_hand(place: Place) -> None:
    _stack(place, inputs={"math": {"model": "models/gone"}, "json": {"model": "org/gone"}})
    ended = place.run("plot", "path.yaml", "--out", "path.svg")
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("command", ["plot", "export"])
def test_help_shows_an_option_by_its_present_name_alone(place: Place, command: str) -> None:
    shown = place.run(command, "--help").stdout
    assert "--candidate" in shown
    assert "--trial" not in shown


def test_the_paths_of_a_study(place: Place) -> None:
    recipe = _stack(place)
    job = read_job(place.folder / "job.yaml").model_dump(mode="json")
    for source in recipe["inputs"].values():
        source["model"] = str(place.folder / source["model"])
    other = parse_recipe(recipe | {"hops": recipe["hops"][:1]}, origin="other", folder=place.folder)
    assert isinstance(other, Stack)
    genes = [FloatGene(name="g", low=0, high=1)]
    with Study.create(place.folder / "s", name="s", job=job, genes=genes) as study:
        study.ask(proposed_by="landmark", genome=(0.5,), recipe=other)
        study.ask(proposed_by="landmark", genome=(0.5,), recipe=other.inputs["math"])
        study.put("winner", {"label": "recommendation", "recipe": recipe, "fitness": 1.0})
    assert place.run("plot", "s", "--out", "winner.svg").stdout == (
        "winner.svg: recommendation\nmore with --view: convergence\n"
    )
    drawn = place.run("plot", "s", "--view", "path", "--candidate", "0")
    assert drawn.stdout == "s-path-0.svg: candidate 0\n"
    drawn = place.run("plot", "s", "--out", "other.svg", "--trial", "0")  # the older name
    assert drawn.stdout.startswith("other.svg: candidate 0\n")
    sizes = [(place.folder / name).stat().st_size for name in ("winner.svg", "other.svg")]
    assert sizes[0] > sizes[1]
    said = "s: candidate 1: a source has no path to draw"
    path = ("--view", "path", "--candidate", "1")
    assert said in place.refuses("plot", "s", "--out", "no.svg", *path)
    said = "s: recommendation: no weights to draw, since a stack has a path: --view path"
    assert said in place.refuses("plot", "s", "--out", "no.svg", "--view", "recipe")
    said = "s: no candidate has been scored yet"
    assert said in place.refuses("plot", "s", "--out", "no.svg", "--view", "convergence")
    assert "no candidate 2" in place.refuses("plot", "s", "--out", "no.svg", "--candidate", "2")


@pytest.mark.process
def test_what_draws_is_an_extra(place: Place) -> None:
    _stack(place)
    code = (
        "import sys; sys.modules['matplotlib'] = None;"
        " from evomerge.commands.main import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, "plot", "path.yaml", "--out", "path.svg"],
        cwd=place.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == (
        "evomerge: a picture needs matplotlib, which is not installed;"
        " `pip install evomerge[plots]`\n"
    )
    assert not (place.folder / "path.svg").exists()
