"""Jobs as studies keep them: what an older version wrote means the same today. And jobs as people
write them: a plain form means what the full one means.

`tests/fixtures/jobs` holds three resolved jobs, one a search space, as they were written before
there was a registry of spaces.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evomerge.config import Job, read_job, resolve_job
from evomerge.errors import ConfigError, SourceError
from evomerge.evaluators.base import Report, TaskScore
from evomerge.recipe.genome import FloatGene
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge
from evomerge.recipe.yaml import dump_recipe
from evomerge.study.record import Study
from evomerge.study.remarks import comment_on_test_sets
from evomerge.value import parse

STORED = sorted((Path(__file__).parents[1] / "fixtures" / "jobs").glob("*.json"))


def lost(before: Any, now: Any, key: str = "job") -> list[str]:
    """Where a value of before is another now; keys that came later do not count."""
    if isinstance(before, dict) and isinstance(now, dict):
        return [
            where for name in before for where in lost(before[name], now.get(name), f"{key}.{name}")
        ]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = enumerate(zip(before, now, strict=True))
        return [where for i, (old, new) in pairs for where in lost(old, new, f"{key}.{i}")]
    return [] if before == now else [key]


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_a_stored_job_is_read_as_it_was_written(path: Path) -> None:
    stored = json.loads(path.read_text())
    job = parse(Job, stored, origin=path.name)
    assert lost(stored, job.model_dump(mode="json")) == []
    assert parse(Job, job.model_dump(mode="json"), origin="again") == job


def test_there_is_a_stored_job_of_every_space() -> None:
    assert [path.stem for path in STORED] == ["dataflow", "parameter", "segments"]


EVALUATOR = {
    "kind": "python",
    "callable": "scores:score",
    "examples": {"search": 2, "holdout": 2},
}
FULL: dict[str, Any] = {
    "name": "a",
    "sources": {
        "json": {"model": "./models/json"},
        "math": {"model": "owner/math", "revision": "1234"},
        "spell": {"model": "owner/base", "adapter": "./adapters/spell"},
    },
    "space": {"kind": "parameter", "method": "linear", "genes": {"weight": [0, 1]}},
    "optimizer": {"kind": "optuna", "sampler": "tpe", "options": {"n_startup_trials": 20}},
    "evaluator": EVALUATOR,
    "budget": {"candidates": 5},
    "cluster": {"kind": "ray", "address": "head:6379"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the jobs above name."""
    (tmp_path / "scores.py").write_text("def score(model, split, places):\n    return []\n")
    (tmp_path / "adapters" / "spell").mkdir(parents=True)
    config = {"base_model_name_or_path": "owner/base"}
    (tmp_path / "adapters" / "spell" / "adapter_config.json").write_text(json.dumps(config))
    return tmp_path


def resolved(folder: Path, **changes: Any) -> Job:
    return resolve_job({**FULL, **changes}, folder=folder, origin="job.yaml")


@pytest.mark.parametrize(
    "plain",
    [
        {"sources": FULL["sources"] | {"json": "./models/json"}},
        {"sources": FULL["sources"] | {"math": "owner/math@1234"}},
        {"sources": FULL["sources"] | {"spell": "adapters/spell"}},
        {"sources": FULL["sources"] | {"spell": {"model": "./adapters/spell"}}},
        {"optimizer": {"kind": "optuna", "sampler": "tpe", "n_startup_trials": 20}},
        {"cluster": "head:6379"},
    ],
)
def test_a_plain_form_means_what_the_full_one_means(folder: Path, plain: dict[str, Any]) -> None:
    assert resolved(folder, **plain).model_dump() == resolved(folder).model_dump()


def test_names_alone(folder: Path) -> None:
    job = resolved(folder, optimizer="cma_es", cluster="auto", schedule="whole", engine="auto")
    assert (job.optimizer.kind, job.engine.kind, job.schedule.kind) == ("cma_es", "auto", "whole")
    assert (job.cluster.kind, job.cluster.address) == ("ray", "auto")
    assert resolved(folder, cluster="in_process").cluster.kind == "in_process"


def test_a_plain_job_is_stored_as_the_full_one_and_read_back(folder: Path) -> None:
    (folder / "job.yaml").write_text(json.dumps(FULL | {"cluster": "head:6379"}))
    job = read_job(folder / "job.yaml")
    assert job == resolved(folder)
    assert parse(Job, job.model_dump(mode="json"), origin="again") == job


def test_genes_may_be_left_out(folder: Path) -> None:
    space = resolved(folder, space={"kind": "parameter", "method": "linear"}).space
    assert space.model_dump()["genes"] is None


def test_an_older_study_is_read_whatever_it_is_called(folder: Path) -> None:
    stored = resolved(folder).model_dump(mode="json") | {"name": "team/first try"}
    assert parse(Job, stored, origin="job.json").name == "team/first try"
    with pytest.raises(ConfigError, match=r"^job.yaml: name: must be the name of a folder"):
        resolve_job(stored, folder=folder, origin="job.yaml")


def test_an_adapter_of_which_no_model_is_known(folder: Path) -> None:
    (folder / "adapters" / "spell" / "adapter_config.json").write_text("{}")
    with pytest.raises(SourceError, match=r"^job.yaml: sources.spell: .*; write {model: MODEL, ad"):
        resolved(folder, sources=FULL["sources"] | {"spell": "./adapters/spell"})


def searched(folder: Path, *test_sets: str) -> None:
    """A study of two candidates that was searched on these."""
    gene = FloatGene(name="weight", low=0.0, high=1.0)
    with Study.create(folder, name=folder.name, job={}, genes=(gene,)) as study:
        study.put("test_sets", list(test_sets))
        for number in range(2):
            sources = {name: Source(model=f"owner/{name}{number}") for name in "ab"}
            merge = Merge(method="linear", inputs=sources)
            study.ask(proposed_by="optimizer", genome=(0.5,), recipe=merge, proposal=number)
            score = TaskScore(metric="exact", value=0.5, examples=(0.0, 1.0))
            study.tell(number, Report(split="search", tasks={"t": score}), (0.5,), worker="w")


def test_what_a_job_takes_up_brings_the_marks_of_its_test_sets(folder: Path) -> None:
    searched(folder / "first", "gsm8k: search", "arc: search")
    searched(folder / "second", "arc: search", "mmlu: validation")
    searched(folder / "clean")
    recipe = Merge(method="linear", inputs={n: Source(model=f"owner/{n}") for n in "ab"})
    mark = comment_on_test_sets(["piqa: search"])
    (folder / "best.yaml").write_text(mark + dump_recipe(recipe))
    basis = {"study": "first", "elites": 2}
    assert resolved(folder).earlier_test_sets == ()
    clean = resolved(folder, warm_start={"study": "clean"})
    assert "earlier_test_sets" not in clean.model_dump(mode="json")
    assert resolved(folder, basis=basis).test_sets == ("gsm8k: search", "arc: search")
    both = resolved(folder, basis=basis, warm_start={"study": "second", "recipes": ["best.yaml"]})
    said = {"gsm8k: search", "arc: search", "mmlu: validation", "piqa: search"}
    assert set(both.test_sets) == said
    assert len(both.test_sets) == len(said)
    # A job that was read before holds them, wherever those studies are.
    for gone in ("first", "second", "best.yaml"):
        (folder / gone).rename(folder / f"{gone} elsewhere")
    again = resolve_job(both.model_dump(mode="json"), folder=folder, origin="again")
    assert again.test_sets == both.test_sets
