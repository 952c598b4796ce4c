"""Measuring and learning from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.measuring.conftest import Trained
from tests.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "here")
    made.write()
    return made


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
