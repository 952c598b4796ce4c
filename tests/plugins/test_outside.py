"""A package of another author, installed by pip: listed, used in a job, its typos refused; broken
on purpose it costs one sentence, and nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from evomerge.conformance.tiny_models import build
from tests.place import Ended, Place

pytestmark = [pytest.mark.slow, pytest.mark.process]

PACKAGE = Path(__file__).parent / "outside"
OFFERED = {
    "operators": "fade",
    "optimizers": "ladder",
    "evaluator_kinds": "count",
    "search_space_kinds": "line",
}
JOB: Mapping[str, Any] = {
    "name": "outside",
    "sources": {"base": {"model": "models/base"}, "math": {"model": "models/math"}},
    "space": {"kind": "line", "start": "base", "end": "math"},
    "optimizer": {"kind": "ladder", "steps": 3},
    "evaluator": {"kind": "count", "up_to": 2},
    "budget": {"candidates": 4},
    "cluster": {"kind": "in_process"},
}


def install(source: Path, target: Path) -> Path:
    """What pip makes of the package, in a folder of its own; no index is asked."""
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--no-input"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target)]
    subprocess.run([*command, str(source)], check=True, timeout=300)
    return target


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(PACKAGE, tmp_path_factory.mktemp("sound"))


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same package; it imports what is not there."""
    source = tmp_path_factory.mktemp("source") / "outside"
    shutil.copytree(PACKAGE, source)
    module = source / "evomerge_outside.py"
    text = module.read_text()
    module.write_text(text.replace("from pydantic import Field", "import a_library_that_is_gone"))
    return install(source, tmp_path_factory.mktemp("broken"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "here")
    made.write()
    return made


def evomerge(packages: Path, place: Place, *arguments: str) -> Ended:
    """The command line in a process that finds the packages."""
    path = os.pathsep.join([str(packages), *filter(None, [os.environ.get("PYTHONPATH")])])
    code = "from evomerge.commands.main import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=place.folder,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def write(place: Place, **changes: Any) -> str:
    (place.folder / "outside.json").write_text(json.dumps({**JOB, **changes}))
    (place.folder / "outside.json").rename(place.folder / "outside.yaml")
    return "outside.yaml"


def test_it_is_listed_and_described_like_ours(sound: Path, place: Place) -> None:
    rows = json.loads(evomerge(sound, place, "catalog", "--json").stdout)
    for role, name in OFFERED.items():
        assert rows[role][name]
        assert not rows[role][name].startswith("broken")
    described = evomerge(sound, place, "catalog", "ladder").stdout
    assert "ladder (optimizer of evomerge-outside)" in described
    assert "How many steps from the low end to the high end." in described
    assert "Made up for evomerge's tests" in evomerge(sound, place, "catalog", "fade").stdout


def test_all_of_it_serves_in_one_search(sound: Path, place: Place) -> None:
    build(place.folder / "tiny-base", seed=0)
    build(place.folder / "tiny-math", seed=1)
    sources = {name: {"model": f"tiny-{name}"} for name in ("base", "math")}
    job = write(place, sources=sources, engine={"kind": "transformers", "device": "cpu"})
    ended = evomerge(sound, place, "search", job, "--out", "run")
    assert ended.returncode == 0, ended.stderr
    shown = json.loads(evomerge(sound, place, "show", "run", "--json").stdout)
    assert shown["candidates"] >= 4
    far = {candidate["genes"]["far"] for candidate in shown["best"]}
    assert far <= {0.0, 0.75, 1.5}
    assert {candidate["recipe"]["method"] for candidate in shown["best"]} == {"fade"}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("optimizer", {"kind": "ladder", "step": 3}, "'optimizer.step'; did you mean 'steps'?"),
        ("optimizer", {"kind": "lader"}, "unknown optimizer 'lader'; did you mean 'ladder'?"),
        ("optimizer", {"kind": "ladder", "steps": 1}, "optimizer.steps: input should be greater"),
        ("evaluator", {"kind": "count", "upto": 2}, "did you mean 'up_to'?"),
        ("space", {"kind": "line", "start": "base", "edn": "math"}, "did you mean 'end'?"),
        (
            "space",
            {"kind": "parameter", "base": "base", "method": "fade", "genes": {"wieght": [0, 1]}},
            "did you mean 'weight'?",
        ),
    ],
)
def test_its_typos_are_refused(key: str, value: Any, said: str, sound: Path, place: Place) -> None:
    ended = evomerge(sound, place, "check", write(place, **{key: value}))
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
    assert said in ended.stderr


def test_broken_it_is_a_row_that_says_why(broken: Path, place: Place) -> None:
    ended = evomerge(broken, place, "catalog", "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    rows = json.loads(ended.stdout)
    for role, name in OFFERED.items():
        assert rows[role][name].startswith("broken: ")
        assert "of the package evomerge-outside cannot be loaded" in rows[role][name]
        assert "No module named 'a_library_that_is_gone'" in rows[role][name]
    assert rows["operators"]["ties"].startswith("Trim small changes")


@pytest.mark.parametrize("key", ["optimizer", "evaluator", "space"])
def test_broken_it_is_one_sentence_where_it_is_used(key: str, broken: Path, place: Place) -> None:
    ours = {
        "space": {
            "kind": "parameter",
            "base": "base",
            "method": "ties",
            "genes": {"weight": [0, 1]},
        },
        "optimizer": "random",
        "evaluator": "evaluator.yaml",
    }
    job = write(place, **{**ours, key: JOB[key]})
    ended = evomerge(broken, place, "check", job)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
    assert "of the package evomerge-outside cannot be loaded" in ended.stderr


def test_broken_its_method_is_one_sentence_and_ours_work(broken: Path, place: Place) -> None:
    recipe = {
        "kind": "merge",
        "method": "fade",
        "base": "b",
        "inputs": {"b": {"model": "models/base"}, "m": {"model": "models/math"}},
        "rules": [{"where": {}, "m": {"weight": 0.5}}],
    }
    (place.folder / "recipe.json").write_text(json.dumps(recipe))
    ended = evomerge(broken, place, "check", "recipe.json")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
    assert "method 'fade' of the package evomerge-outside cannot be loaded" in ended.stderr
    (place.folder / "recipe.json").write_text(json.dumps({**recipe, "method": "task_arithmetic"}))
    assert evomerge(broken, place, "check", "recipe.json").returncode == 0
    assert evomerge(broken, place, "check", "job.yaml").returncode == 0
