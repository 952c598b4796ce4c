"""README's Python, run as it stands: a job of small models is put in place of the reader's."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from evomerge.conformance import tiny_models
from evomerge.recipe.tree import Merge, Recipe

PAGE = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
VERBS, LOOP = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory with job.yaml in it."""
    for seed, name in enumerate(("base", "json", "math")):
        tiny_models.build(tmp_path / "models" / name, seed=seed)
    for split in ("search", "validation", "holdout"):
        (tmp_path / f"{split}.txt").write_text(f"A few words of {split}.\n")
    job = {
        "name": "a",
        "sources": {name: {"model": f"models/{name}"} for name in ("base", "json", "math")},
        "space": {
            "kind": "parameter",
            "base": "base",
            "method": "task_arithmetic",
            "genes": {"weight": [0, 1]},
        },
        "optimizer": "cma_es",
        "evaluator": {
            "kind": "text",
            "tasks": {"words": {"weight": 1.0}},
            "splits": {split: f"{split}.txt" for split in ("search", "validation", "holdout")},
        },
        "budget": {"candidates": 5},
        "engine": {"kind": "transformers"},
        "cluster": {"kind": "in_process"},
    }
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    return tmp_path


def run(code: str, folder: Path, **names: Any) -> str:
    """Run a block in a folder; what it prints."""
    printed = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), names)
    return printed.getvalue()


@pytest.mark.slow
def test_the_verbs(folder: Path) -> None:
    printed = run(VERBS, folder)
    assert "words" in printed
    assert "evolved" in printed
    assert re.search(r"^\d \(-\d", printed, re.MULTILINE), printed
    assert (folder / "model" / "model.safetensors").exists()


def test_the_loop_with_a_scoring_of_ones_own(folder: Path) -> None:
    tried: list[Recipe] = []

    def my_score(recipe: Recipe) -> float:
        tried.append(recipe)
        return float(len(tried))

    run(LOOP, folder, my_score=my_score)
    assert len(tried) >= 10
    assert all(isinstance(recipe, Merge) for recipe in tried)
