"""One real search on the demo's specialists: Ray, lm-eval, transformers, resume, export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import evomerge
from evomerge.config import read_job
from evomerge.evaluators.base import Report
from evomerge.study.record import Study

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def job_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's job, cut down: few candidates, few examples."""
    folder = tmp_path_factory.mktemp("job")
    job: dict[str, Any] = yaml.safe_load((ROOT / "examples" / "demo.yaml").read_text())
    for source in job["sources"].values():
        for key in ("model", "adapter"):
            if key in source:
                source[key] = str((ROOT / "examples" / source[key]).resolve())
    evaluator = yaml.safe_load((ROOT / "evaluators" / "json_math" / "evaluator.yaml").read_text())
    evaluator["include_path"] = str(ROOT / "evaluators" / "json_math" / "tasks")
    evaluator["limits"] = {"search": 6, "validation": 6, "holdout": 6}
    job |= {"evaluator": evaluator, "budget": {"candidates": 6}, "select": {"finalists": 2}}
    job["cluster"] = {"kind": "ray", "workers": 1, "dashboard": False}
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump(job))
    return path


@pytest.fixture(scope="module")
def study(job_file: Path) -> Path:
    out = job_file.parent / "study"
    evomerge.search(job_file, out)
    return out


@pytest.mark.ray
@pytest.mark.slow
def test_the_record_is_complete(study: Path, job_file: Path) -> None:
    job = read_job(job_file)
    with Study.open(study, write=False) as record:
        candidates = record.candidates()
        assert len(candidates) == 6
        assert {one.state for one in candidates} == {"done"}
        assert [one.label for one in candidates[:4]] == [
            "uniform",
            "parent:json",
            "parent:math",
            "parent:spell",
        ]
        for one in candidates:
            report = record.load_report(one.digest, job.evaluator.digest(), "search")
            assert isinstance(report, Report)
            assert len(report.tasks["evomerge_json_math"].examples) == 6
            assert set(report.tasks) == {"evomerge_json_math"}
        (table, *others) = record.get("comparison")["tables"]
    assert [row["model"] for row in table["rows"]] == [
        "evolved",
        "json",
        "math",
        "spell",
        "uniform merge",
        "task arithmetic",
    ]
    assert len(others) == 3


@pytest.mark.ray
@pytest.mark.slow
def test_the_journal_opens_as_any_optuna_study(study: Path) -> None:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    storage = optuna.storages.JournalStorage(JournalFileBackend(str(study / "journal.log")))
    (summary,) = optuna.get_all_study_summaries(storage)
    assert summary.n_trials == 6
    loaded = optuna.load_study(study_name=summary.study_name, storage=storage)
    assert "math.weight" in loaded.trials[0].params


@pytest.mark.ray
@pytest.mark.slow
def test_resuming_a_finished_study_evaluates_nothing(study: Path) -> None:
    def reports() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in (study / "examples").iterdir()}

    before = reports()
    comparison = evomerge.resume(study)
    assert reports() == before
    with Study.open(study, write=False) as record:
        assert comparison.to_json() == record.get("comparison")


@pytest.mark.ray
@pytest.mark.slow
def test_the_exported_model_loads_and_answers(study: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    evomerge.export(study, tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32)
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(
        chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    answer = model.generate(**prompt, max_new_tokens=8, do_sample=False)
    assert tokenizer.decode(answer[0, prompt["input_ids"].shape[1] :]).strip()
    card = (tmp_path / "model" / "README.md").read_text()
    assert "evomerge" in card
    assert json.loads((tmp_path / "model" / "config.json").read_text())["num_hidden_layers"] == 30
