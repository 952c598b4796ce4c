"""The command line as a user meets it: bad input is one sentence, exit code 2, nothing written."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import evomerge
from evomerge.config import read_job
from evomerge.evaluators.base import Report, TaskScore
from evomerge.recipe.genome import FloatGene
from evomerge.recipe.source import Source
from evomerge.study.record import Study
from evomerge.study.remarks import comment_on_test_sets
from tests.families import tiny_tensors, write_model
from tests.place import Place

COMMANDS = [
    *("check", "search", "resume", "show", "watch", "plot", "export"),
    *("submit", "status", "logs", "stop", "list", "fetch"),
    *("merge", "measure", "learn", "convert", "evaluate"),
    *("catalog", "schema"),
]

QUICK = {"show", "watch", "plot", "catalog", "schema", "status", "logs", "list"}
"""Commands that neither take a while nor have a result for a program."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "here")
    made.write()
    return made


def test_a_good_job_passes_and_says_what_it_costs(place: Place) -> None:
    ended = place.run("check", "job.yaml", "--json")
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    assert said["ok"] is True
    assert said["genes"] == 4
    assert said["candidates"] == 4
    (models,) = said["models"]
    assert models["names"] == ["base", "json", "math"]
    assert models["towers"] == {"decoder": 3}
    ended = place.run("check", "job.yaml")
    assert "base, json, math: llama: decoder of 3 layers; attention, mlp, norm" in ended.stdout


def _space(**changes: Any) -> Callable[[Place], None]:
    return lambda place: place.job["space"].update(changes)


def _job(**changes: Any) -> Callable[[Place], None]:
    return lambda place: place.job.update(changes)


def _pickle(place: Place) -> None:
    model = place.folder / "models" / "math"
    (model / "model.safetensors").rename(model / "pytorch_model.bin")


def _shape(place: Place) -> None:
    tensors = tiny_tensors(1)
    tensors["model.norm.weight"] = torch.zeros(4)
    write_model(place.folder / "models" / "odd", tensors)
    place.job["sources"]["math"] = {"model": "models/odd"}


def _vocabulary(place: Place) -> None:
    write_model(place.folder / "models" / "more", tiny_tensors(1), vocab_size=99)
    place.job["sources"]["math"] = {"model": "models/more"}


def _overlap(place: Place) -> None:
    place.evaluator["splits"]["holdout"] = "search"


def _same_rows(place: Place) -> None:
    tasks = place.folder / "tasks"
    (tasks / "holdout.jsonl").write_text((tasks / "search.jsonl").read_text())


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_job(budgt={"candidates": 3}), "job.yaml: unknown key 'budgt'; did you mean 'budget'?"),
        (_job(seed="seven"), "seed: must be a whole number, got 'seven'"),
        (_job(budget={}), "a budget needs candidates, evaluations or seconds"),
        (_space(method="tie"), "unknown method 'tie'; did you mean 'ties'?"),
        (_job(space="parameter_space/evolm"), "did you mean 'parameter_space/evollm'?"),
        (_job(optimizer="cma"), "did you mean 'cma_es'?"),
        (
            _job(warm_start={"recipes": [{"model": "models/math"}]}),
            "job.yaml: warm_start.recipes.0: the space does not hold this recipe: the space holds",
        ),
        (_job(warm_start={"recipes": ["best.yaml"]}), "best.yaml: no such file"),
        (_space(base=None), "method 'ties' needs a base"),
        (
            _space(base="bse"),
            "job.yaml: space.base: 'bse' is not among the sources; did you mean 'base'?",
        ),
        (
            _space(parents=["json", "maht"]),
            "job.yaml: space.parents: 'maht' is not among the sources; did you mean 'math'?",
        ),
        (
            _job(space={"kind": "parametr"}),
            "job.yaml: space: unknown search space 'parametr'; did you mean 'parameter'?",
        ),
        (
            _job(space={"method": "ties"}),
            "job.yaml: space: name the search space as 'kind'; known: dataflow, parameter",
        ),
        (_space(grups={}), "job.yaml: unknown key 'space.grups'; did you mean 'groups'?"),
        (
            _space(genes={"weight": {"low": 0, "high": 1, "log": True}, "density": [0.1, 1]}),
            "job.yaml: space.genes.weight: a logarithmic range needs low > 0, got 0.0",
        ),
        (
            _space(genes={"weight": {"low": 0, "hihg": 1}}),
            "job.yaml: unknown key 'space.genes.weight.hihg'; did you mean 'high'?",
        ),
        (_space(groups={"layers": 9}), "9 of a model that has 3"),
        (
            _job(sources={"base": {"model": "models/bse"}, "math": {"model": "models/math"}}),
            "job.yaml: sources.base: ",
        ),
        (_pickle, "is a pickle checkpoint"),
        (_shape, "model.norm.weight has shape [8]"),
        (_vocabulary, "differ in vocabulary"),
        (_overlap, "overlap"),
        (_same_rows, "an example may be in one split only"),
    ],
)
def test_bad_jobs(place: Place, spoil: Callable[[Place], None], said: str) -> None:
    spoil(place)
    place.write()
    for command in (("check", "job.yaml"), ("search", "job.yaml", "--out", "runs/x")):
        assert said in place.refuses(*command)


def test_an_output_folder_that_holds_another_study(place: Place) -> None:
    (place.folder / "runs" / "x").mkdir(parents=True)
    (place.folder / "runs" / "x" / "study.json").write_text("{}")
    assert "holds another study" in place.refuses("search", "job.yaml", "--out", "runs/x")


def test_bad_recipes(place: Place) -> None:
    recipe: dict[str, Any] = {
        "kind": "merge",
        "method": "linear",
        "inputs": {"a": {"model": "models/base"}, "b": {"model": "models/math"}},
        "rules": [{"where": {"layers": [0, 8]}}, {"where": {}}],
    }
    for rule in recipe["rules"]:
        rule |= {"a": {"weight": 1}, "b": {"weight": 1}}
    path = place.folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    said = "rules.0.where.layers: [0, 8] goes beyond the model's 3 layers"
    assert said in place.refuses("check", "recipe.yaml")
    assert said in place.refuses("merge", "recipe.yaml", "--out", "merged")
    path.write_text("kind: merge\nmethod: [")
    assert "recipe.yaml:2:10: the list or mapping that is opened is not closed" in place.refuses(
        "check", "recipe.yaml"
    )
    assert "no such file" in place.refuses("merge", "nothing.yaml", "--out", "merged")


def test_a_recipe_of_segments_by_hand(place: Place) -> None:
    size = sum(tensor.numel() for tensor in tiny_tensors(0).values())
    recipe: dict[str, Any] = {
        "kind": "segments",
        "base": "a",
        "inputs": {"a": {"model": "models/base"}, "b": {"model": "models/math"}},
        "chromosomes": [{"where": {}, "ends": [9, size], "coefficients": {"b": [0.4, 1.0]}}],
    }
    path = place.folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    ended = place.run("check", "recipe.yaml", "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["recipe"] == "recipe.yaml"
    assert "no coefficients by range" in place.refuses("convert", "recipe.yaml")
    recipe["chromosomes"][0]["ends"][1] += 1
    path.write_text(yaml.safe_dump(recipe))
    said = f"chromosomes.0.ends: the last one is {size + 1}, and the weights that it selects are"
    assert said in place.refuses("check", "recipe.yaml")


def test_a_job_over_adapters(place: Place) -> None:
    base = {"model": "models/base"}
    folders = {"lora": "models/lora", "other": "models/other-lora"}
    adapters = {name: base | {"adapter": folder} for name, folder in folders.items()}
    place.job["sources"] = {"base": base, **adapters}
    place.job["space"] |= {"method": ["task_arithmetic", "lorahub", "lora_lego"]}
    place.job["space"]["genes"] = ["weight", "k"]
    place.write()
    ended = place.run("check", "job.yaml", "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["genes"] == 4  # the method, two weights and k
    place.job["sources"]["other"] = {"model": "models/math"}
    place.write()
    said = "job.yaml: method 'lorahub' merges LoRA adapters on one model; 'other' has no adapter"
    assert said in place.refuses("check", "job.yaml")


def test_the_catalog_names_everything_and_suggests(place: Place) -> None:
    ended = place.run("catalog", "--json")
    found = json.loads(ended.stdout)
    assert {
        "linear",
        "slerp",
        "nuslerp",
        "task_arithmetic",
        "ties",
        "dare_linear",
        "dare_ties",
    } <= set(found["operators"])
    assert set(found["optimizers"]) == {
        "bayes",
        "catcma",
        "cma_es",
        "cma_niches",
        "cycle_qd",
        "genetic",
        "genetic_merge",
        "greedy_soup",
        "map_elites",
        "natural_niches",
        "nevergrad",
        "optuna",
        "random",
        "random_merge",
    }
    assert "parameter_space/evollm" in found["search_spaces"]
    assert "json_math" in found["evaluators"]
    assert "local" in found["cluster"]
    assert "did you mean 'json_math'?" in place.refuses("catalog", "json_mat")
    assert "method: dare_ties" in place.run("catalog", "parameter_space/evollm").stdout


def test_the_version(place: Place) -> None:
    assert place.run("--version").stdout == f"evomerge {evomerge.__version__}\n"


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_every_command_in_its_group_and_the_exit_codes(
    option: str, place: Place
) -> None:
    said = place.run(option).stdout
    titles = ("─ Search ─", "─ On a cluster ─", "─ Models and recipes ─", "─ Reference ─")
    groups = [said.index(title) for title in titles]
    assert groups == sorted(groups)
    for command in COMMANDS:
        assert f"│ {command} " in said
    assert "Exit codes: 0 done, 2 the input was wrong" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_an_example_of_it(command: str, place: Place) -> None:
    said = place.run(command, "-h").stdout
    _, _, examples = said.partition("Example")
    assert f" evomerge {command}" in examples


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - QUICK))
def test_what_takes_a_while_can_be_quiet_and_speak_json(command: str, place: Place) -> None:
    said = place.run(command, "-h").stdout
    assert "--quiet" in said
    assert "--json" in said


def test_the_shell_completes_what_is_typed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_EVOMERGE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "evomerge ex")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert place.run().stdout.split() == ["export"]


def test_a_warning_is_told_beside_json_and_not_where_quiet_is_wanted(place: Place) -> None:
    theirs = {"merge_method": "linear", "models": [{"model": "models/math"}], "typo": 1}
    theirs["models"][0]["parameters"] = {"weight": 1.0}  # type: ignore[index]
    (place.folder / "mergekit.yaml").write_text(yaml.safe_dump(theirs))
    ended = place.run("convert", "mergekit.yaml", "--json")
    data = json.loads(ended.stdout)
    assert data["out"] is None
    assert yaml.safe_load(data["text"])["method"] == "linear"
    assert [f"warning: {line}" for line in data["warnings"]] == ended.stderr.splitlines()
    assert data["warnings"]
    quiet = place.run("convert", "mergekit.yaml", "--quiet")
    assert quiet.stderr == ""
    assert quiet.stdout == data["text"]


def test_the_schema_is_json_schema(place: Place) -> None:
    schema = json.loads(place.run("schema").stdout)
    assert {"sources", "space", "optimizer", "evaluator", "budget"} <= set(schema["properties"])


@pytest.mark.parametrize("command", ["resume", "show", "watch"])
def test_a_folder_without_a_study(place: Place, command: str) -> None:
    assert "is not a study" in place.refuses(command, "runs/nothing")


@pytest.mark.process
def test_the_console_script_is_a_program(place: Place) -> None:
    code = "from evomerge.commands.main import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", code, "show", "runs/nothing"],
        cwd=place.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "is not a study" in ended.stderr


def test_a_study_whose_evaluator_has_changed_is_not_resumed(place: Place) -> None:
    job = read_job(place.folder / "job.yaml")
    genes = [FloatGene(name="g", low=0, high=1)]
    with Study.create(
        place.folder / "s", name="s", job=job.model_dump(mode="json"), genes=genes
    ) as study:
        study.put("evaluator", job.evaluator.digest())
        study.ask(proposed_by="landmark", genome=(0.5,), recipe=Source(model="m"))
        score = TaskScore(metric="exact_match", value=1.0, examples=(1.0,))
        study.tell(0, Report(split="search", tasks={"sums": score}), (1.0,), worker="w")
    row = {"question": "What is 5 plus 1?", "answer": "6"}
    (place.folder / "tasks" / "search.jsonl").write_text(json.dumps(row) + "\n")
    assert "have changed since the study began" in place.refuses("resume", "s")


def test_converting_from_and_to_mergekit(place: Place) -> None:
    theirs = {
        "merge_method": "ties",
        "base_model": "models/base",
        "models": [{"model": "models/math", "parameters": {"weight": 0.5, "density": 0.5}}],
    }
    (place.folder / "mergekit.yaml").write_text(yaml.safe_dump(theirs))
    ended = place.run("convert", "mergekit.yaml", "--out", "recipe.yaml")
    assert ended.returncode == 0, ended.stderr
    assert yaml.safe_load((place.folder / "recipe.yaml").read_text())["method"] == "ties"
    assert place.run("check", "recipe.yaml").returncode == 0
    back = place.run("convert", "recipe.yaml")
    assert yaml.safe_load(back.stdout)["merge_method"] == "ties"
    recipe = (place.folder / "recipe.yaml").read_text()
    mark = comment_on_test_sets(["gsm8k: search"])
    (place.folder / "marked.yaml").write_text(mark + recipe)
    assert place.run("convert", "marked.yaml").stdout == mark + back.stdout
    assert "exists already" in place.refuses("convert", "mergekit.yaml", "--out", "recipe.yaml")
    assert "did you mean 'ties'?" in _refused(place, merge_method="tise")
    assert "neither a recipe" in place.refuses("convert", "job.yaml")


def _refused(place: Place, **changes: str) -> str:
    data = yaml.safe_load((place.folder / "mergekit.yaml").read_text()) | changes
    (place.folder / "mergekit.yaml").write_text(yaml.safe_dump(data))
    return place.refuses("convert", "mergekit.yaml")
