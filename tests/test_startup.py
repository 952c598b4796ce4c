"""What a command loads: a merge of small models should not wait for what only a search needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evomerge.recipe.tree import Merge, Rule
from evomerge.recipe.yaml import dump_recipe
from tests.families import Family

SEARCHING = {"cma", "lm_eval", "nevergrad", "optuna", "ray", "scipy", "transformers", "vllm"}
DRAWING = {"matplotlib"}

CODE = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(m for m in sys.modules if "." not in m))))
from evomerge.commands.main import main
sys.argv[0] = "evomerge"
sys.argv[1:] and main()
"""


def loaded(folder: Path, *arguments: str) -> set[str]:
    """The packages in a process that has run the command, or only imported it."""
    ended = subprocess.run(
        [sys.executable, "-c", CODE, *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return set(json.loads(ended.stdout.splitlines()[-1]))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    family = Family(tmp_path / "models")
    recipe = Merge(
        method="ties",
        base="base",
        inputs={"base": family.base, "m": family.math},
        rules=(Rule(inputs={"m": {"weight": 1.0, "density": 0.5}}),),
    )
    (tmp_path / "recipe.yaml").write_text(dump_recipe(recipe))
    return tmp_path


@pytest.mark.process
@pytest.mark.parametrize(
    "command",
    [
        (),
        ("--help",),
        ("catalog",),
        ("catalog", "ties"),
        ("schema",),
        ("check", "recipe.yaml"),
        ("convert", "recipe.yaml"),
    ],
)
def test_looking_at_things_loads_no_tensors(command: tuple[str, ...], place: Path) -> None:
    assert loaded(place, *command).isdisjoint(SEARCHING | DRAWING | {"safetensors", "torch"})


@pytest.mark.process
def test_a_merge_loads_torch_and_nothing_that_searches(place: Path) -> None:
    found = loaded(place, "merge", "recipe.yaml", "--out", "merged")
    assert (place / "merged" / "model.safetensors").exists()
    assert {"safetensors", "torch"} <= found
    assert found.isdisjoint(SEARCHING | DRAWING)
