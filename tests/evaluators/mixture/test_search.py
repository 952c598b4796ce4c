"""A real search, in this process, for lm-eval's tasks, for text and for a function's scores."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import evomerge
from evomerge.config import read_job
from evomerge.errors import UserError
from evomerge.study.record import Study
from evomerge.trust import VARIABLE
from tests.engines.conftest import Siblings, siblings
from tests.evaluators.task_folder import evaluator, sum_task

__all__ = ["siblings"]


@pytest.fixture
def job(tmp_path: Path, siblings: Siblings) -> Path:
    (tmp_path / "tasks").mkdir()
    sum_task(tmp_path / "tasks")
    for split in ("search", "validation", "holdout"):
        (tmp_path / f"{split}.txt").write_text(f"What the {split} has to say of bread. " * 4)
    (tmp_path / "own.py").write_text(
        "def short(model, split, places):\n    return [0.5] * len(places)"
    )
    own = {
        "kind": "python",
        "callable": "own:short",
        "examples": {"search": 2, "validation": 2, "holdout": 2},
    }
    tasks = evaluator({"sums": {"metric": "exact_match", "filter": "answer", "weight": 1.0}})
    text = {
        "kind": "text",
        "tasks": {"prose": {"weight": 1.0}},
        "splits": {split: f"{split}.txt" for split in ("search", "validation", "holdout")},
        "window_bytes": 64,
    }
    written = {
        "name": "mixed",
        "sources": {name: {"model": str(getattr(siblings, name))} for name in ("one", "other")},
        "space": {"kind": "parameter", "method": "linear", "genes": {"weight": [0, 1]}},
        "optimizer": "random",
        "evaluator": {
            "kind": "mixture",
            "of": {"maths": tasks, "texts": text, "own": own},
            "shares": {"texts": 0.5, "own": 0.25},
        },
        "budget": {"candidates": 5},
        "cluster": {"kind": "in_process"},
        "engine": {"kind": "transformers", "device": "cpu", "dtype": "float32"},
    }
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(written))
    return path


@pytest.mark.filterwarnings("default")
def test_a_search_over_tasks_text_and_a_function(
    job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    comparison = evomerge.search(job, tmp_path / "study").comparison
    assert comparison is not None
    assert [table.task for table in comparison.tables] == [
        "maths/sums",
        "own/short",
        "texts/prose",
    ]
    with Study.open(tmp_path / "study", write=False) as study:
        candidates = study.candidates()
        assert {candidate.state for candidate in candidates} == {"done"}
        for candidate in candidates:
            sums, prose = candidate.tasks["maths/sums"], candidate.tasks["texts/prose"]
            assert candidate.fitness == pytest.approx([(sums - 0.5 * prose + 0.25 * 0.5) / 1.75])
        bits = {candidate.tasks["texts/prose"] for candidate in candidates}
        assert len(bits) > 3
        digest = read_job(job).evaluator.digest()
        assert study.get("evaluator") == digest
    # A finished study is read, and runs nothing; to search needs consent.
    monkeypatch.setenv(VARIABLE, "")
    assert evomerge.resume(tmp_path / "study").comparison == comparison
    with pytest.raises(UserError, match=r"own:short.*--trust-job"):
        evomerge.search(job, tmp_path / "other")
