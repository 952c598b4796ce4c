"""One real search on the demo's specialists: Ray, lm-eval, transformers, resume, export."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

import evomerge
from evomerge.config import read_job
from evomerge.evaluators.base import Report
from evomerge.models.inventory import read_inventory
from evomerge.recipe.digest import digest
from evomerge.recipe.yaml import read_recipe
from evomerge.study.record import Study

ROOT = Path(__file__).parents[1]


EXAMPLES = {"search": 2, "validation": 1, "holdout": 1}


def evaluator(folder: Path, *skills: str) -> dict[str, Any]:
    """The demo's, with these skills beside its own: few examples, and answers that end at once."""
    tasks = folder / "evaluator" / "tasks"
    shutil.copytree(ROOT / "evaluators" / "json_math", tasks.parent)
    for task in tasks.iterdir():
        task.write_text(task.read_text().replace("max_gen_toks: 48", "max_gen_toks: 2"))
    made: dict[str, Any] = yaml.safe_load((tasks.parent / "evaluator.yaml").read_text())
    kept = {f"evomerge_{name}" for name in ("json_math", *skills)}
    chosen = {name: task for name, task in made["tasks"].items() if name in kept}
    return made | {"include_path": str(tasks), "limits": EXAMPLES, "tasks": chosen}


def small(example: str, folder: Path, **keys: Any) -> Path:
    """An example's job, cut down: few candidates."""
    job: dict[str, Any] = yaml.safe_load((ROOT / "examples" / example).read_text())
    for source in job["sources"].values():
        for key in ("model", "adapter"):
            if key in source:
                source[key] = str((ROOT / "examples" / source[key]).resolve())
    job |= {"budget": {"candidates": 6}, "select": {"finalists": 2}}
    job["cluster"] = {"kind": "ray", "workers": 1, "dashboard": False}
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump(job | keys))
    return path


@pytest.fixture(scope="module")
def job_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("job")
    return small("demo.yaml", folder, evaluator=evaluator(folder, "spell"))


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
            report = record.reports.load(one.digest, job.evaluator.digest(), "search")
            assert isinstance(report, Report)
            assert len(report.tasks["evomerge_json_math"].examples) == EXAMPLES["search"]
            assert set(report.tasks) == {"evomerge_json_math"}
        (table, *others) = record.get("comparison")["tables"]
    models = [row["model"] for row in table["rows"]]
    assert models[:6] == ["evolved", "base", "json", "math", "spell", "uniform merge"]
    assert "task arithmetic" in models
    assert any(model.startswith("task arithmetic") and "(tuned)" in model for model in models)
    assert len(others) == 1


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
    comparison = evomerge.resume(study).comparison
    assert reports() == before
    with Study.open(study, write=False) as record:
        assert comparison is not None
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
    result = model.generate(**prompt, max_new_tokens=8, do_sample=False)
    assert tokenizer.decode(result[0, prompt["input_ids"].shape[1] :]).strip()
    card = (tmp_path / "model" / "README.md").read_text()
    assert "evomerge" in card
    assert json.loads((tmp_path / "model" / "config.json").read_text())["num_hidden_layers"] == 30


@pytest.mark.ray
@pytest.mark.slow
def test_a_search_over_data_flow_ends_in_a_model_that_answers(tmp_path: Path) -> None:
    """Over Ray, with scales, so that the export needs code of its own; every layer stands once."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    space = {
        "kind": "dataflow",
        "block": 5,
        "repetitions": 1,
        "order": "by_depth",
        "scales": "per_hop",
        "scale_range": [0.9, 1.1],
        "start": {"other": 0.2},
    }
    job_file = small(
        "dataflow.yaml",
        tmp_path,
        space=space,
        warm_start={"landmarks": False},
        evaluator=evaluator(tmp_path),
        budget={"candidates": 3},
        select={"finalists": 1},
    )
    out = tmp_path / "study"
    comparison = evomerge.search(job_file, out).comparison
    assert comparison is not None
    models = [row.model for row in comparison.tables[0].rows]
    assert models[:6] == ["evolved", "base", "json", "math", "uniform merge", "task arithmetic"]
    assert models[6].startswith("task arithmetic")
    assert models[6].endswith("(tuned)")
    assert models[7:] == ["halves, json below math", "halves, math below json"]
    job = read_job(job_file)
    with Study.open(out, write=False) as record:
        candidates = record.candidates()
        assert {one.state for one in candidates} == {"done"}
        for one in candidates:
            report = record.reports.load(one.digest, job.evaluator.digest(), "search")
            assert isinstance(report, Report)
            assert report.costs["layers"] == len(one.recipe["hops"])
            assert report.costs["tokens_per_second"] > 0
    evomerge.export(out, tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["num_hidden_layers"] == len(set(config["route"]["layers"]))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(
        tmp_path / "model", dtype=torch.float32, trust_remote_code=True
    )
    prompt = tokenizer("What is the capital of France?", return_tensors="pt")
    assert model.generate(**prompt, max_new_tokens=4, do_sample=False).shape[1] > 4


@pytest.mark.slow
def test_a_search_by_natural_niches_breeds_models(tmp_path: Path) -> None:
    """All four tasks count; whatever was bred is a model of one pass over the seeds."""
    counted = evaluator(tmp_path, "json", "math", "spell")
    for task in counted["tasks"].values():
        task["weight"] = 1.0
    in_process = {"kind": "in_process"}
    # Tuned baselines are the other searches' matter.
    select = {"finalists": 2, "tune_baselines": False}
    job_file = small("niches.yaml", tmp_path, cluster=in_process, evaluator=counted, select=select)
    out = tmp_path / "study"
    comparison = evomerge.search(job_file, out).comparison
    assert comparison is not None
    models = [row.model for row in comparison.tables[0].rows]
    assert models[:6] == ["evolved", "base", "json", "math", "spell", "uniform merge"]
    assert "task arithmetic" in models
    with Study.open(out, write=False) as record:
        candidates = record.candidates()
    assert [one.label for one in candidates[:4]] == [
        "seed:json",
        "seed:math",
        "seed:spell",
        "uniform",
    ]
    assert {one.state for one in candidates} == {"done"}
    assert all(len(one.tasks) == 4 for one in candidates)
    for bred in candidates[4:]:
        assert bred.parentage is not None
        assert len(bred.parentage.parents) == 2
    evomerge.export(out, tmp_path / "model", candidate=candidates[-1].number, local_paths=True)
    recipe = read_recipe(tmp_path / "model" / "recipe.yaml")
    assert digest(recipe) == candidates[-1].digest
    whole = read_inventory(tmp_path / "model")
    assert whole.parameters == 134_515_008
