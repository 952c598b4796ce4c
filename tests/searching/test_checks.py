"""What is found before anything is started, by `check` and by `search` in the same words."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evomerge.config import read_job
from evomerge.searching.job_check import check_job
from evomerge.searching.plan import Plan
from tests.place import Place

WRITTEN = {f"{name}.{key}": 0.5 for name in ("json", "math") for key in ("weight", "density")}
"""A genome of the place's space."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "here")
    made.job["budget"] = {"candidates": 40}
    return made


def _job(**changes: Any) -> Callable[[Place], None]:
    return lambda place: place.job.update(changes)


def _cluster(**changes: Any) -> Callable[[Place], None]:
    return _job(cluster={"kind": "ray", **changes})


def _warm_start(**values: Any) -> Callable[[Place], None]:
    return _job(warm_start={"genomes": [WRITTEN | values]})


def _space(**changes: Any) -> Callable[[Place], None]:
    return lambda place: place.job["space"].update(changes)


def _other_space(kind: str, optimizer: str, **keys: Any) -> Callable[[Place], None]:
    return _job(space={"kind": kind, **keys}, optimizer=optimizer)


def _no_validation(place: Place) -> None:
    del place.evaluator["splits"]["validation"]


def _searches_a_test_set(place: Place) -> None:
    file = place.folder / "tasks" / "sums.yaml"
    lines = [line for line in file.read_text().splitlines() if "data" not in line]
    file.write_text("\n".join(["dataset_path: somebody/benchmark", *lines]) + "\n")
    place.evaluator["splits"] = {"search": "test", "validation": "dev", "holdout": "train"}


def _mixed_without_validation(place: Place) -> None:
    _no_validation(place)
    place.evaluator = {"kind": "mixture", "of": {"sums": place.evaluator}}


def _estimates_of_text(place: Place) -> None:
    for split in ("search", "validation", "holdout"):
        (place.folder / f"{split}.txt").write_text(f"A text for the {split}.")
    splits = {split: f"{split}.txt" for split in ("search", "validation", "holdout")}
    place.evaluator = {"kind": "text", "tasks": {"news": {"weight": 1.0}}, "splits": splits}
    place.job["schedule"] = "estimated"


def _keeps_what_does_not_count(place: Place) -> None:
    place.evaluator["tasks"]["other"] = {"metric": "exact_match"}
    task = (place.folder / "tasks" / "sums.yaml").read_text()
    (place.folder / "tasks" / "other.yaml").write_text(task.replace("task: sums", "task: other"))
    place.job["objective"] = {"constraints": ["other >= 0.95 * base"]}


def _no_template(place: Place) -> None:
    place.evaluator["chat_template"] = True
    (place.folder / "models" / "base" / "tokenizer_config.json").write_text("{}")


def _no_tokenizer(place: Place) -> None:
    (place.folder / "models" / "base" / "tokenizer.json").unlink()


def _type_of_nobody(place: Place) -> None:
    for name in ("base", "json", "math"):
        path = place.folder / "models" / name / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "zebra"}))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            _type_of_nobody,
            "base: transformers has no model type 'zebra', so that no engine of transformers runs",
        ),
        (_space(base="bse"), "space.base: 'bse' is not among the sources; did you mean 'base'?"),
        (_space(parents=["maht"]), "space.parents: 'maht' is not among the sources; did you mean"),
        (_space(parents=["math", "math"]), "space.parents: a parent is named twice in math, math"),
        (_space(parents=["base", "math"]), "space.parents: 'base' is the base, from which 'ties'"),
        (_space(tokenizer="bse"), "space.tokenizer.source: 'bse' is not an input; did you mean"),
        (
            _other_space("segments", "natural_niches", base="bse"),
            "space.base: 'bse' is not among the sources; did you mean 'base'?",
        ),
        (
            _other_space("segments", "natural_niches", seeds=["json", "maht"]),
            "space.seeds: 'maht' is not among the sources; did you mean 'math'?",
        ),
        (
            _other_space("dataflow", "random", inputs=["json", "maht"]),
            "space.inputs: 'maht' is neither a source nor one of the recipes; did you mean 'math'?",
        ),
        (
            _searches_a_test_set,
            "sums: search on all of 'test': that is the benchmark's public test",
        ),
        (_no_validation, "evaluator: the task 'sums' counts and has no validation split, by which"),
        (_mixed_without_validation, "the task 'sums/sums' counts and has no validation split"),
        (_estimates_of_text, "schedule: estimated takes every task for the plain mean of its"),
        (_keeps_what_does_not_count, "the task 'other' has weight 0, and is scored on the holdout"),
        (_no_template, "evaluator.chat_template: the tokenizer of "),
        (_no_tokenizer, "has no tokenizer, and every recipe takes its tokenizer from there"),
        (_warm_start(**{"json.weight": "much"}), "json.weight: a number is wanted, got 'much'"),
        (_warm_start(**{"json.wieght": 1}), "no gene 'json.wieght'; did you mean 'json.weight'?"),
        (
            _cluster(gpus_per_worker=64),
            "cluster: a worker needs 64 GPU, this machine has ",
        ),
        (_cluster(cpus_per_worker=5000), "cluster: a worker needs 5000 CPU, this machine has "),
        (
            _cluster(resources={"seat": 1}),
            "a worker needs 1 seat, this machine has 0; resources of your own are those of a Ray",
        ),
        (
            _job(engine={"kind": "vllm", "tensor_parallel": 4}, cluster={"gpus_per_worker": 2}),
            "cluster.gpus_per_worker: too few GPUs for one worker: its engine is spread over 4",
        ),
        (_job(storage="postgres"), "job.yaml: storage: 'postgres' is not the URL of a database"),
        (
            _job(storage="mysql://me:secret@nowhere/x"),
            "mysql://me:***@nowhere/x: its driver MySQLdb is not installed; `pip install 'mysqlcli",
        ),
        (_job(storage="sqlite:///no/such/x.db"), "cannot be used (there is no folder "),
        (_job(storage="sqlite://"), "a database in memory is gone with the process"),
    ],
)
def test_check_and_search_refuse_in_one_sentence(
    place: Place, spoil: Callable[[Place], None], said: str
) -> None:
    spoil(place)
    place.write()
    for command in (("check", "job.yaml"), ("search", "job.yaml", "--out", "runs/x")):
        sentence = place.refuses(*command)
        assert sentence.startswith("evomerge: job.yaml: ")
        assert said in sentence


def test_a_recipe_within_a_space_that_selects_nothing(place: Place) -> None:
    """Refused by `check`; whoever searches is told, since older jobs of that kind go on."""
    half = {"math": {"weight": 0.5}, "json": {"weight": 0.5}}
    rules = [{"where": {"component": "router"}, **half}, {"where": {}, **half}]
    inputs = {"math": {"model": "models/math"}, "json": {"model": "models/json"}}
    mix = {"kind": "merge", "method": "linear", "inputs": inputs, "rules": rules}
    place.job |= {"optimizer": "random", "engine": {"kind": "transformers"}}
    place.job["space"] = {"kind": "dataflow", "inputs": ["json", "mix"], "recipes": {"mix": mix}}
    place.write()
    said = "job.yaml: space.recipes.mix: rules.0: component router selects nothing in this model;"
    assert said in place.refuses("check", "job.yaml")
    plan = Plan(read_job(place.folder / "job.yaml"), "job.yaml")
    assert any(warning.startswith(said) for warning in check_job(plan))


@pytest.mark.ray
def test_a_cluster_that_is_not_there(place: Place) -> None:
    place.job["cluster"] = {"address": "127.0.0.1:1"}
    place.write()
    for command in (("check", "job.yaml"), ("search", "job.yaml", "--out", "runs/x")):
        ended = place.run(*command)
        assert ended.returncode == 2
        sentence = "job.yaml: cluster.address: no Ray cluster at '127.0.0.1:1' ("
        assert sentence in ended.stderr
    assert not (place.folder / "runs").exists()


def test_an_output_folder_that_cannot_be_written(place: Place) -> None:
    place.write()
    (place.folder / "file").write_text("")
    for command in ("check", "search"):
        assert "file/x: cannot be written (" in place.refuses(
            command, "job.yaml", "--out", "file/x"
        )
        assert "file: is a file" in place.refuses(command, "job.yaml", "--out", "file")


def test_an_output_folder_that_holds_a_study(place: Place) -> None:
    place.write()
    study = place.folder / "runs" / "tiny"
    study.mkdir(parents=True)
    (study / "study.json").write_text("{}")
    assert "holds another study" in place.refuses("search", "job.yaml")
    assert "holds another study" in place.refuses("check", "job.yaml", "--out", "runs/tiny")
    # The job is well, and may have been checked because of what that study says.
    ended = place.run("check", "job.yaml")
    assert ended.returncode == 0
    assert "holds a study already" in ended.stderr


def test_a_database_that_holds_a_study_of_the_name(place: Place) -> None:
    database = place.folder / "studies.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE studies (study_id INTEGER PRIMARY KEY, study_name TEXT)")
        connection.execute("INSERT INTO studies (study_name) VALUES ('tiny')")
    connection.close()
    place.job["storage"] = f"sqlite:///{database}"
    place.write()
    for command in ("check", "search"):
        assert "holds a study called 'tiny' already" in place.refuses(command, "job.yaml")


def warnings(place: Place) -> list[str]:
    place.write()
    return check_job(Plan(read_job(place.folder / "job.yaml"), "job.yaml"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"budget": {"candidates": 3}},
            ["budget: 3 candidates are spent on the 3 warm starts, and cma_es is never asked;"],
        ),
        (
            {"budget": {"candidates": 8}},
            ["to learn from any: a generation of 8 after 3 warm starts take 11"],
        ),
        ({"budget": {"evaluations": 8}}, ["budget: 8 candidates are too few for cma_es"]),
        ({"budget": {"candidates": 11}}, []),
        ({"budget": {"seconds": 60}}, []),
        (
            {"optimizer": {"kind": "natural_niches", "archive": 30}, "budget": {"candidates": 20}},
            ["too few for natural_niches to learn from any: an archive of 30, which only then"],
        ),
        (
            {"optimizer": {"kind": "map_elites", "warm_up": 9}, "budget": {"candidates": 10}},
            ["3 warm starts, 9 random merges and a child of members take 13"],
        ),
        (
            {"optimizer": "genetic", "budget": {"candidates": 8}},
            ["a population of 8, 3 warm starts among them, and a child take 9"],
        ),
        (
            {"optimizer": "optuna", "budget": {"candidates": 10}},
            ["10 first trials, 3 warm starts among them, and one more take 11"],
        ),
        ({"optimizer": "random", "budget": {"candidates": 4}}, []),
        (
            {
                "objective": {"constraints": ["sums >= 95", "sums <= 1", "layers <= 30"]},
                "budget": {"candidates": 20},
            },
            ["'sums >= 95': no model keeps it, since its scores, by their metric exact_match, go"],
        ),
        (
            {
                "objective": {"constraints": ["sums >= 95%", "sums <= -0.1", "sums >= 2 * base"]},
                "budget": {"candidates": 20},
            },
            ["'sums <= -0.1': no model keeps it"],
        ),
        (
            {"warm_start": {"genomes": [{**WRITTEN, "math.weight": 1.5}]}},
            ["genomes.0.math.weight: 1.5 lies outside the space's 0 to 1, and 1 is tried"],
        ),
        ({"warm_start": {"genomes": [{**WRITTEN, "math.density": 0.1}]}}, []),
        (
            {"select": {"finalists": 30}, "budget": {"candidates": 20}},
            ["select.finalists: 30 of a budget of 20 candidates"],
        ),
        (
            {
                "cluster": {"workers": 5000},
                "budget": {"candidates": 20},
                "optimizer": {"kind": "cma_es", "asynchronous": True},
            },
            ["cluster.workers: 5000 are asked for, and this machine holds "],
        ),
        (
            {
                "cluster": {"kind": "ray", "address": "auto", "workers": 12},
                "budget": {"seconds": 9},
            },
            ["waits for all of 8 candidates before it asks more, so that 4 of 12 workers never"],
        ),
    ],
)
def test_what_is_worth_a_warning(place: Place, changes: dict[str, Any], said: list[str]) -> None:
    place.job |= changes
    found = warnings(place)
    assert len(found) == len(said), found
    for warning, part in zip(found, said, strict=True):
        assert part in warning


@pytest.mark.parametrize(
    ("schedule", "optimizer", "said"),
    [
        ({"kind": "halving", "least": 20}, "cma_es", None),
        ({"kind": "halving", "least": 21}, "cma_es", "halving spares nothing: least: 21 is more"),
        (
            {"kind": "hyperband", "batch": 64},
            "cma_es",
            "hyperband spares nothing: least: 12, in batches of 64, is more than half of the 40",
        ),
        ({"kind": "racing", "least": 39}, "cma_es", None),
        ({"kind": "racing", "least": 40}, "cma_es", "least: 40 is all of the 40 examples of the"),
        ({"kind": "estimated", "examples": 29}, "cma_es", None),
        ({"kind": "estimated", "examples": 0.75}, "cma_es", "examples: 0.75 is nearly all of the"),
        (
            "halving",
            "natural_niches",
            "told of every candidate that halving stops as of one that failed",
        ),
    ],
)
def test_schedules_that_spare_nothing_or_tell_nothing(
    place: Place, schedule: Any, optimizer: str, said: str | None
) -> None:
    row = (place.folder / "tasks" / "search.jsonl").read_text()
    (place.folder / "tasks" / "search.jsonl").write_text(row * 40)
    place.job |= {"schedule": schedule, "optimizer": optimizer}
    found = warnings(place)
    assert len(found) == (said is not None), found
    assert said is None or said in found[0]


def test_a_folder_is_tried_and_nothing_is_left(place: Place) -> None:
    place.job["storage"] = f"sqlite:///{place.folder}/studies.db"
    place.write()
    before = sorted(place.folder.rglob("*"))
    ended = place.run("check", "job.yaml", "--out", "deep/er/x")
    assert ended.returncode == 0, ended.stderr
    assert sorted(place.folder.rglob("*")) == before


@pytest.mark.process
def test_the_command_itself(place: Place) -> None:
    place.job["space"]["parents"] = ["math", "jsn"]
    place.write()
    program = "from evomerge.commands.main import main; main()"
    command = [sys.executable, "-c", program, "check", "job.yaml"]
    ended = subprocess.run(
        command, cwd=place.folder, env=os.environ, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr == (
        "evomerge: job.yaml: space.parents: 'jsn' is not among the sources; did you mean 'json'?\n"
    )
    assert ended.stdout == ""
