"""From a job to what it names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from evomerge import build
from evomerge.config import read_job
from evomerge.recipe.source import Source
from evomerge.search_spaces.base import named
from tests.test_cli import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "here")


def recipe(place: Place, **weights: float) -> dict[str, Any]:
    models = place.folder / "models"
    return {
        "kind": "merge",
        "method": "ties",
        "base": "base",
        "inputs": {name: {"model": str(models / name)} for name in ("base", "json", "math")},
        "rules": [{"where": {}} | {n: {"weight": w, "density": 0.5} for n, w in weights.items()}],
    }


def test_known_recipes_are_tried_first_whether_in_a_file_or_written_out(place: Place) -> None:
    (place.folder / "best.yaml").write_text(yaml.safe_dump(recipe(place, json=0.5, math=0.75)))
    place.job["warm_start"] = {
        "landmarks": False,
        "recipes": ["best.yaml", recipe(place, json=0.25, math=1.0)],
        "genomes": [{"json.weight": 1, "math.weight": 0, "json.density": 1, "math.density": 1}],
    }
    place.write()
    job = read_job(place.folder / "job.yaml")
    marks = {label: named(build.space(job), g) for label, g in build.landmarks(job).items()}
    assert list(marks) == ["genome:0", "recipe:0", "recipe:1"]
    assert marks["recipe:0"]["math.weight"] == pytest.approx(0.75)
    assert marks["recipe:1"]["json.weight"] == pytest.approx(0.25)
    again = type(job).model_validate_json(json.dumps(job.model_dump(mode="json")))
    assert again == job


def test_the_winner_is_compared_with_every_parent_and_the_plain_merges(place: Place) -> None:
    place.write()
    job = read_job(place.folder / "job.yaml")
    found = build.baselines(job)
    assert list(found) == ["json", "math", "uniform merge", "task arithmetic"]
    assert isinstance(found["json"], Source)
    place.job["space"]["parents"] = ["math"]
    place.write()
    found = build.baselines(read_job(place.folder / "job.yaml"))
    assert list(found) == ["math", "uniform merge", "task arithmetic"]
