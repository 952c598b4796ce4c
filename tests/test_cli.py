"""The command line as a user meets it: bad input is one sentence, exit code 2, nothing written."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import yaml

from evomerge.cli import main
from evomerge.config import read_job
from evomerge.recipe.genome import FloatGene
from evomerge.study.record import Study
from tests.merging.conftest import Family, tiny_tensors, write_model
from tests.merging.measure.conftest import Trained

TASK = """
task: sums
dataset_path: json
dataset_kwargs:
  data_files: {search: search.jsonl, validation: validation.jsonl, holdout: holdout.jsonl}
test_split: holdout
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {do_sample: false, max_gen_toks: 4, until: ["x"]}
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
"""


class Ended(NamedTuple):
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


class Place:
    """A working directory with a family of models, an evaluator and a job that fit together."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.family = Family(folder / "models")
        tasks = folder / "tasks"
        tasks.mkdir()
        (tasks / "sums.yaml").write_text(TASK)
        for i, split in enumerate(("search", "validation", "holdout")):
            row = {"question": f"What is {i} plus 1?", "answer": str(i + 1)}
            (tasks / f"{split}.jsonl").write_text(json.dumps(row) + "\n")
        self.evaluator: dict[str, Any] = {
            "kind": "lm_eval",
            "include_path": "tasks",
            "tasks": {"sums": {"metric": "exact_match", "weight": 1.0}},
            "splits": {"search": "search", "validation": "validation", "holdout": "holdout"},
        }
        self.job: dict[str, Any] = {
            "name": "tiny",
            "sources": {
                "base": {"model": "models/base"},
                "json": {"model": "models/json"},
                "math": {"model": "models/math"},
            },
            "space": {
                "kind": "parameter",
                "base": "base",
                "method": "ties",
                "genes": {"weight": [0, 1], "density": [0.1, 1]},
            },
            "optimizer": "cma_es",
            "evaluator": "evaluator.yaml",
            "budget": {"candidates": 4},
            "cluster": {"kind": "in_process"},
        }

    def write(self) -> None:
        (self.folder / "evaluator.yaml").write_text(yaml.safe_dump(self.evaluator))
        (self.folder / "job.yaml").write_text(yaml.safe_dump(self.job))

    def run(self, *arguments: str) -> Ended:
        """Run the console script's function as the script would, in this folder."""
        out, err, argv = io.StringIO(), io.StringIO(), sys.argv
        sys.argv = ["evomerge", *arguments]
        try:
            with (
                contextlib.chdir(self.folder),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
            ):
                main()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            sys.argv = argv
        return Ended(code, out.getvalue(), err.getvalue())

    def refuses(self, *arguments: str) -> str:
        """Run what must be refused; the sentence on stderr."""
        before = sorted(self.folder.rglob("*"))
        ended = self.run(*arguments)
        assert ended.returncode == 2, ended.stderr
        assert sorted(self.folder.rglob("*")) == before, "something was written"
        assert "Traceback" not in ended.stderr
        assert ended.stderr.startswith("evomerge: ")
        assert ended.stderr.count("\n") == 1, ended.stderr
        return ended.stderr


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
        (_job(seed="seven"), "seed: input should be a valid integer"),
        (_job(budget={}), "a budget needs candidates or seconds"),
        (_space(method="tie"), "unknown method 'tie'; did you mean 'ties'?"),
        (_job(space="parameter_space/evolm"), "did you mean 'parameter_space/evollm'?"),
        (_job(optimizer="cma"), "did you mean 'cma_es'?"),
        (
            _job(warm_start={"recipes": [{"model": "models/math"}]}),
            "job.yaml: warm_start.recipes.0: the space does not hold this recipe: the space holds",
        ),
        (_job(warm_start={"recipes": ["best.yaml"]}), "best.yaml: no such file"),
        (_space(base=None), "method 'ties' needs a base"),
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
    assert "not valid YAML" in place.refuses("check", "recipe.yaml")
    assert "no such file" in place.refuses("merge", "nothing.yaml", "--out", "merged")


def test_merging_a_recipe_writes_a_model_once(place: Place) -> None:
    recipe = {
        "kind": "merge",
        "method": "linear",
        "inputs": {"a": {"model": "models/base"}, "b": {"model": "models/math"}},
        "rules": [{"where": {}, "a": {"weight": 1}, "b": {"weight": 1}}],
    }
    (place.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    ended = place.run("merge", "recipe.yaml", "--out", "merged")
    assert ended.returncode == 0, ended.stderr
    assert (place.folder / "merged" / "model.safetensors").exists()
    assert "exists already" in place.refuses("merge", "recipe.yaml", "--out", "merged")


def _adapters(place: Place, method: str, **rule: Any) -> dict[str, Any]:
    """A recipe over the family's adapters, written to recipe.yaml."""
    base = {"model": "models/base"}
    recipe = {
        "kind": "merge",
        "method": method,
        "base": "base",
        "inputs": {
            "base": base,
            "l": base | {"adapter": "models/lora"},
            "o": base | {"adapter": "models/other-lora"},
        },
        "rules": [{"where": {}, "l": {"weight": 0.5}, "o": {"weight": -1}, **rule}],
    }
    (place.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return recipe


def test_merging_adapters_into_one(place: Place) -> None:
    _adapters(place, "task_arithmetic")
    into = ("merge", "recipe.yaml", "--format", "adapter")
    ended = place.run(*into, "--out", "merged")
    assert ended.returncode == 0, ended.stderr
    assert {path.name for path in (place.folder / "merged").iterdir()} == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "recipe.yaml",
    }
    assert "library_name: peft" in (place.folder / "merged" / "README.md").read_text()
    assert "exists already" in place.refuses(*into, "--out", "merged")
    assert place.run(*into, "--out", "cut", "--rank", "1").returncode == 0
    config = json.loads((place.folder / "cut" / "adapter_config.json").read_text())
    assert config["r"] == 1
    refused = place.refuses("merge", "recipe.yaml", "--out", "model", "--rank", "1")
    assert "--rank is of an adapter's ranks" in refused


def test_what_is_not_one_adapter(place: Place) -> None:
    _adapters(place, "ties")
    said = "recipe.yaml: the result is not one adapter: method 'ties' (family elementwise)"
    assert said in place.refuses("merge", "recipe.yaml", "--out", "m", "--format", "adapter")


def test_adapter_methods_refuse_what_is_no_adapter(place: Place) -> None:
    recipe = _adapters(place, "lorahub")
    recipe["inputs"]["o"] = {"model": "models/math"}
    (place.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    said = "recipe.yaml: method 'lorahub' merges LoRA adapters on one model; 'o' has no adapter"
    for command in (("check", "recipe.yaml"), ("merge", "recipe.yaml", "--out", "m")):
        assert said in place.refuses(*command)


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


def test_exporting_a_candidate_as_an_adapter(place: Place) -> None:
    recipes = {"t": _adapters(place, "task_arithmetic"), "s": _adapters(place, "ties")}
    job = read_job(place.folder / "job.yaml").model_dump(mode="json")
    genes = [FloatGene(name="g", low=0, high=1)]
    for name, recipe in recipes.items():
        for source in recipe["inputs"].values():
            source |= {key: str(place.folder / path) for key, path in source.items()}
        with Study.create(place.folder / name, name=name, job=job, genes=genes) as study:
            study.put("winner", {"label": "candidate 3", "recipe": recipe, "fitness": 1.0})
    ended = place.run("export", "t", "--out", "adapter", "--format", "adapter")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "adapter: candidate 3\n"
    assert "# t, candidate 3" in (place.folder / "adapter" / "README.md").read_text()
    assert (place.folder / "adapter" / "adapter_model.safetensors").exists()
    said = place.refuses("export", "s", "--out", "other", "--format", "adapter")
    assert "s: candidate 3: the result is not one adapter: method 'ties'" in said
    assert "--format hf" in place.refuses("export", "t", "--out", "other", "--rank", "2")


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
    assert set(found["optimizers"]) == {"cma_es", "greedy_soup", "nevergrad", "optuna", "random"}
    assert "parameter_space/evollm" in found["search_spaces"]
    assert "json_math" in found["evaluators"]
    assert "local" in found["cluster"]
    assert "did you mean 'json_math'?" in place.refuses("catalog", "json_mat")
    assert "method: dare_ties" in place.run("catalog", "parameter_space/evollm").stdout


def test_the_schema_is_json_schema(place: Place) -> None:
    schema = json.loads(place.run("schema").stdout)
    assert {"sources", "space", "optimizer", "evaluator", "budget"} <= set(schema["properties"])


def test_measuring_and_merging_with_what_was_measured(place: Place) -> None:
    trained = Trained(place.folder / "trained")
    small = ("--examples", "1", "--length", "16", "--device", "cpu")
    for name in ("math", "json"):
        text, out = f"trained/{name}.jsonl", f"of-{name}"
        ended = place.run("measure", f"trained/{name}", "--text", text, "--out", out, *small)
        assert ended.returncode == 0, ended.stderr
    inputs = {n: {"model": f"trained/{n}", "statistics": f"of-{n}"} for n in trained.texts}
    for method in ("fisher", "regmean"):
        recipe = {"kind": "merge", "method": method, "inputs": inputs}
        (place.folder / "r.yaml").write_text(yaml.safe_dump(recipe))
        assert place.run("check", "r.yaml").returncode == 0
        assert place.run("merge", "r.yaml", "--out", method).returncode == 0
    inputs["json"]["statistics"] = "of-math"
    (place.folder / "r.yaml").write_text(yaml.safe_dump(recipe))
    assert "these are statistics of" in place.refuses("check", "r.yaml")
    again = ("measure", "trained/math", "--text", "trained/math.jsonl", "--out", "of-math")
    assert "exists already" in place.refuses(*again)
    assert "did you mean 'gram'?" in place.refuses(*again[:-1], "new", "--what", "gramm")
    assert "is no source" in place.refuses("measure", "r.yaml", "--out", "new")


def test_learning_coefficients(place: Place) -> None:
    trained = Trained(place.folder / "trained")
    inputs = {n: {"model": f"trained/{n}"} for n in ("base", "math", "json")}
    recipe = {"kind": "merge", "method": "expert_merging", "base": "base", "inputs": inputs}
    (place.folder / "r.yaml").write_text(yaml.safe_dump(recipe))
    texts = [f"--text={name}={path}" for name, path in trained.texts.items()]
    learn = ("learn", "r.yaml", *texts, "--device", "cpu", "--set", "length=16")
    ended = place.run(*learn, "--set", "steps=1", "--out", "learned")
    assert ended.returncode == 0, ended.stderr
    assert yaml.safe_load(ended.stdout)["inputs"]["math"]["statistics"].endswith("learned/math")
    merged = place.run("merge", "learned/recipe.yaml", "--out", "merged")
    assert merged.returncode == 0, merged.stderr
    out = ("--out", "new")
    assert "unknown key 'step'; did you mean 'steps'?" in place.refuses(
        *learn, "--set", "step=1", *out
    )
    assert "expected NAME=VALUE" in place.refuses("learn", "r.yaml", "--text", "math", *out)
    assert "is given twice" in place.refuses(*learn, texts[0], *out)
    recipe["method"] = "ties"
    (place.folder / "r.yaml").write_text(yaml.safe_dump(recipe))
    assert "nothing to learn for 'ties'" in place.refuses(*learn, *out)


@pytest.mark.parametrize("command", ["resume", "show"])
def test_a_folder_without_a_study(place: Place, command: str) -> None:
    assert "is not a study" in place.refuses(command, "runs/nothing")


def test_the_console_script_is_a_program(place: Place) -> None:
    code = "from evomerge.cli import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", code, "show", "runs/nothing"],
        cwd=place.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
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
    assert "exists already" in place.refuses("convert", "mergekit.yaml", "--out", "recipe.yaml")
    assert "did you mean 'ties'?" in _refused(place, merge_method="tise")
    assert "neither a recipe" in place.refuses("convert", "job.yaml")


def _refused(place: Place, **changes: str) -> str:
    data = yaml.safe_load((place.folder / "mergekit.yaml").read_text()) | changes
    (place.folder / "mergekit.yaml").write_text(yaml.safe_dump(data))
    return place.refuses("convert", "mergekit.yaml")
