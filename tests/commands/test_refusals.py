"""Files as people mistype them: one sentence, with the file and the key as written, exit code 2."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.place import Place

INNER_WORDS = (
    "pydantic",
    "Input should",
    "input should",
    "tag",
    "union",
    "validator",
    "validation",
    "mapping values",
    "token",
    "block end",
    "dict",
    "tuple",
    "NoneType",
    "str,",
    "list[",
    "instance",
    "traceback",
    "errors.pydantic",
)
"""What belongs to pydantic, PyYAML or Python and to no user's file."""

Spoil = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    made = Place(tmp_path_factory.mktemp("place") / "here")
    made.write()
    recipe = {
        "kind": "merge",
        "method": "ties",
        "base": "base",
        "inputs": {"base": "models/base", "math": {"model": "models/math"}},
        "rules": [{"where": {}, "math": {"weight": 0.5, "density": 0.5}}],
    }
    (made.folder / "good_recipe.yaml").write_text(yaml.safe_dump(recipe))
    return made


def said_of(place: Place, text: str, *command: str, file: str = "spoilt.yaml") -> str:
    """The sentence about a file, held to what every sentence has to be."""
    (place.folder / file).write_text(text)
    said = place.refuses(*(command or ("check",)), file).removeprefix("evomerge: ").rstrip()
    assert said.startswith(file), said
    names = [file, *re.findall(r"'[^']*'", said)]
    bare = said
    for name in [*names, "tokenizer"]:
        bare = bare.replace(name, "")
    words = [word for word in INNER_WORDS if re.search(rf"\b{re.escape(word)}", bare)]
    assert not words, (words, said)
    return said


def changed(path: str, value: Any) -> Spoil:
    """Set a key, written with dots."""
    *above, last = path.split(".")

    def spoil(data: dict[str, Any]) -> None:
        for key in above:
            data = data.setdefault(key, {})
        data[last] = value

    return spoil


def without(path: str) -> Spoil:
    *above, last = path.split(".")

    def spoil(data: dict[str, Any]) -> None:
        for key in above:
            data = data[key]
        del data[last]

    return spoil


JOBS: list[tuple[Spoil, str]] = [
    (without("name"), "the key 'name' is missing"),
    (without("sources"), "the key 'sources' is missing"),
    (without("space"), "the key 'space' is missing"),
    (without("optimizer"), "the key 'optimizer' is missing"),
    (without("evaluator"), "the key 'evaluator' is missing"),
    (without("budget"), "the key 'budget' is missing"),
    (changed("name", 7), "name: must be text, got 7"),
    (changed("name", "../x"), "name: must be the name of a folder (runs/NAME): 1 to 100"),
    (changed("name", "a\\b"), "name: must be the name of a folder"),
    (changed("name", "a\nb"), "name: must be the name of a folder"),
    (changed("name", ".."), "name: must be the name of a folder"),
    (changed("name", ""), "name: must be the name of a folder"),
    (changed("name", "x" * 200), "name: must be the name of a folder"),
    (changed("seed", "x"), "seed: must be a whole number, got 'x'"),
    (changed("seed", 1.5), "seed: must be a whole number, got 1.5"),
    (changed("seed", None), "seed: must be a whole number, got nothing"),
    (changed("seed", [1]), "seed: must be a whole number, got a list"),
    (changed("sources", ["a", "b"]), "sources: must be a mapping of keys, got a list"),
    (changed("sources", {"base": "models/base"}), "sources: a search needs at least two sources"),
    (changed("sources.math", 3), "sources.math: must be text or a mapping of keys, got 3"),
    (changed("sources.math", ""), "sources.math: the name of a model is empty"),
    (changed("sources.math", "best.yaml"), "sources.math: a model is a folder or a hub repository"),
    (changed("sources.math", {"modle": "x"}), "unknown key 'sources.math.modle'; did you mean 'mo"),
    (changed("sources.math", {"adapter": "x"}), "the key 'sources.math.model' is missing"),
    (changed("sources.math", "./nowhere"), "sources.math: "),
    (changed("sources", {"a\tb": "models/base", "m": "models/math"}), "sources: a name is empty"),
    (changed("space", 3), "space: name the search space as 'kind'"),
    (changed("space", "parameter_space/tis"), "space: no entry 'parameter_space/tis' in the cata"),
    (changed("space", "spaces/own.yaml"), "space: "),
    (changed("space.kind", ["a"]), "space: name the search space as 'kind'"),
    (changed("space.method", 3), "space.method: must be text or a list, got 3"),
    (changed("space.method", ["ties", 3]), "space.method.1: must be text, got 3"),
    (changed("space.method", {"a": 1}), "space.method: must be text or a list, got a mapping"),
    (changed("space.genes", 3), "space.genes: must be a list, got 3"),
    (changed("space.genes.weight", 3), "space.genes.weight: must be a list, got 3"),
    (changed("space.genes.weight", [0]), "space.genes.weight: needs 2 entries, got 1"),
    (changed("space.genes.weight", [0, 1, 2]), "space.genes.weight: may have at most 2 entries"),
    (changed("space.genes.weight", [0, "b"]), "space.genes.weight.1: must be a number, got 'b'"),
    (changed("space.genes.weight", {"low": 0}), "the key 'space.genes.weight.high' is missing"),
    (changed("space.groups.layers", 0), "space.groups.layers: must be at least 1, got 0"),
    (changed("space.groups.components", ["mpl"]), "space.groups.components.0: must be 'attention'"),
    (changed("space.options", {"normalize": [1]}), "space.options.normalize: must be a number, tr"),
    (changed("optimizer", 3), "optimizer: name the optimizer as 'kind'"),
    (changed("optimizer", {"sigma": 1}), "optimizer: name the optimizer as 'kind'"),
    (changed("optimizer", {"kind": "cma_es", "sigma": "x"}), "optimizer.sigma: must be a number"),
    (changed("optimizer", {"kind": "cma_es", "sigm": 1}), "unknown key 'optimizer.sigm'; did you"),
    (
        changed("optimizer", {"kind": "optuna", "smapler": "tpe"}),
        "optimizer: optuna's TPESampler has no option 'smapler'; did you mean 'sampler'?",
    ),
    (
        changed("optimizer", {"kind": "optuna", "sampler": "tpee"}),
        "optimizer.sampler: optuna has no sampler 'tpee'; did you mean 'tpe'?",
    ),
    (changed("optimizer", {"kind": "nevergrad", "optimizer": "NGOp_"}), "unknown nevergrad optimi"),
    (changed("evaluator", 3), "evaluator: expected a mapping of keys, got 3"),
    (changed("evaluator", "json_mat"), "evaluator: no entry 'json_mat' in the catalog evaluators"),
    (changed("evaluator", ["json_math", "json_math"]), "evaluator: two evaluators would be called"),
    (
        changed("evaluator", {"tasks": {"sums": 3}}),
        "evaluator: tasks.sums: must be nothing or a ma",
    ),
    (changed("evaluator", {"tasks": 3}), "evaluator: "),
    (changed("evaluator", {"kind": "text", "tasks": 3}), "evaluator: "),
    (changed("budget", 3), "budget: must be a mapping of keys, got 3"),
    (changed("budget", {"candidates": 0}), "budget.candidates: must be at least 1, got 0"),
    (changed("budget", {"seconds": 0}), "budget.seconds: must be above 0, got 0"),
    (changed("budget", {"candidate": 3}), "unknown key 'budget.candidate'; did you mean 'candidat"),
    (changed("engine", {"kind": "vlm"}), "engine: unknown engine 'vlm'; did you mean 'vllm'?"),
    (changed("engine", {"device": "gpu"}), "engine.device: must be such as 'auto' or 'cpu'"),
    (changed("engine", {"dtype": "int8"}), "engine.dtype: must be 'auto', 'bfloat16', 'float16'"),
    (changed("engine", {"trust_remote_code": "x"}), "engine.trust_remote_code: must be true or fa"),
    (changed("cluster", 3), "cluster: must be a mapping of keys, got 3"),
    (changed("cluster", "locl"), "cluster: no entry 'locl' in the catalog cluster; did you mean"),
    (
        changed("cluster", {"kind": "ray", "address": "ray://head:10001"}),
        "cluster.address: ray://head:10001 is an address of Ray's client",
    ),
    (changed("cluster", "ray://head:10001"), "cluster: ray://head:10001 is an address of Ray's cl"),
    (changed("cluster", {"workers": 0}), "cluster.workers: must be at least 1, got 0"),
    (
        changed("cluster", {"workers": {"min": 3, "max": 2}}),
        "cluster.workers: min 3 is above max 2",
    ),
    (changed("cluster", {"workers": {"mni": 3, "max": 4}}), "unknown key 'cluster.workers.mni'"),
    (changed("compare", ["random", "random"]), "compare: random stands there twice"),
    (changed("schedule", "hole"), "schedule: unknown schedule 'hole'; did you mean 'whole'?"),
    (changed("storage", 3), "storage: must be text, got 3"),
    (changed("objective", {"pirces": {}}), "unknown key 'objective.pirces'; did you mean 'prices'"),
    (changed("warm_start", 3), "warm_start: must be a mapping of keys, got 3"),
    (changed("warm_start", {"recipes": "a"}), "warm_start.recipes: must be a list, got 'a'"),
    (changed("warm_start", {"recipes": [3]}), "warm_start.recipes.0: expected text or a mapping"),
    (changed("warm_start", {"recipes": [{"kind": "x"}]}), "warm_start.recipes.0: no kind of recip"),
    (changed("warm_start", {"genomes": [{"w": [1]}]}), "warm_start.genomes.0.w: must be a number "),
    (changed("select", {"finalists": 0}), "select.finalists: must be at least 1, got 0"),
    (changed("selekt", {}), "unknown key 'selekt'; did you mean 'select'?"),
]


@pytest.mark.parametrize(("spoil", "said"), JOBS, ids=[said[:40] for _, said in JOBS])
def test_jobs(place: Place, spoil: Spoil, said: str) -> None:
    data = yaml.safe_load((place.folder / "job.yaml").read_text())
    spoil(data)
    told = said_of(place, yaml.safe_dump(data))
    assert told.startswith(f"spoilt.yaml: {said}"), told


RECIPES: list[tuple[Spoil, str]] = [
    (without("method"), "the key 'method' is missing"),
    (without("inputs"), "the key 'inputs' is missing"),
    (changed("method", "tise"), "unknown method 'tise'"),
    (changed("method", 3), "method: must be text, got 3"),
    (changed("kind", "mrege"), "no kind of recipe 'mrege'; did you mean 'merge'?"),
    (changed("kind", 3), "no kind of recipe '3'"),
    (changed("base", "bse"), "base names 'bse', which is not an input; did you mean 'base'?"),
    (changed("inputs", {}), "a merge needs inputs"),
    (changed("inputs", ["a"]), "inputs: must be a mapping of keys, got a list"),
    (changed("inputs.math", 3), "inputs.math: must be text or a mapping of keys, got 3"),
    (changed("inputs.math", ""), "inputs.math: the name of a model is empty"),
    (changed("inputs.math", {"kind": "plum"}), "inputs.math: no kind 'plum'; known: merge, segme"),
    (changed("inputs.math", {"mdel": "x"}), "unknown key 'inputs.math.mdel'; did you mean 'model'"),
    (changed("inputs.math", {"kind": "merge", "inputs": {}}), "the key 'inputs.math.method' is mi"),
    (changed("rules", {}), "rules: must be a list, got a mapping of keys"),
    (changed("rules", []), "the last rule must match all tensors"),
    (changed("rules", [3]), "rules.0: must be a mapping of keys, got 3"),
    (changed("rules", [{"where": {"layer": [0, 1]}}]), "unknown key 'rules.0.where.layer'; did yo"),
    (changed("rules", [{"where": {"layers": [3, 1]}}]), "rules.0.where: layers must be [first, en"),
    (changed("rules", [{"where": {"layers": [1]}}]), "rules.0.where.layers: needs 2 entries, got"),
    (changed("rules", [{"mth": {"weight": 1}}]), "a rule's input names 'mth', which is not an in"),
    (changed("rules", [{"math": {"weight": [1]}}]), "rules.0.inputs.math.weight: must be a number"),
    (changed("rules", [{"math": {"wieght": 1}}]), "rules.0.math: unknown key 'wieght'; did you m"),
    (changed("options", {"lambda": None}), "options.lambda: must be a number, true or false or te"),
    (changed("seed", "a"), "seed: must be a whole number, got 'a'"),
    (changed("tokenizer", "bse"), "tokenizer.source: 'bse' is not an input; did you mean 'base'?"),
    (changed("tokenizer", 3), "tokenizer: must be text or a mapping of keys, got 3"),
]


@pytest.mark.parametrize(("spoil", "said"), RECIPES, ids=[said[:40] for _, said in RECIPES])
def test_recipes(place: Place, spoil: Spoil, said: str) -> None:
    data = yaml.safe_load((place.folder / "good_recipe.yaml").read_text())
    spoil(data)
    text = yaml.safe_dump(data)
    told = said_of(place, text, "merge", "--out", "built")
    assert told.startswith(f"spoilt.yaml: {said}"), told
    if data.get("kind") in ("merge", "stack", "segments"):
        assert said_of(place, text, "check") == told


NO_YAML = [
    ("name: a\nname: b\n", "spoilt.yaml: the key 'name' stands in line 1 and again in line 2"),
    ("name: [a\nseed: 1\n", "spoilt.yaml:1:7: the '[' that is opened here is not closed"),
    ("name: a: b\n", "spoilt.yaml:1:8: a ':' stands where no key can be"),
    ("- name\n", "spoilt.yaml: expected a mapping of keys (key: value), got a list"),
    ("", "spoilt.yaml: there is nothing in it"),
    ("seed: .nan\n", "spoilt.yaml:1:7: seed: .nan is no number to reckon with"),
    ("no: 1\n", "spoilt.yaml:1:1: the key no is read as false and not as text"),
]
READING = [
    ("check",),
    ("search",),
    ("merge", "--out", "built"),
    ("evaluate", "--evaluator", "evaluator.yaml"),
]


@pytest.mark.parametrize(("text", "said"), NO_YAML)
@pytest.mark.parametrize("command", READING, ids=lambda command: command[0])
def test_what_is_no_yaml(place: Place, text: str, said: str, command: tuple[str, ...]) -> None:
    assert said_of(place, text, *command).startswith(said)


def test_converting_what_is_no_yaml(place: Place) -> None:
    """Of a file of mergekit's only the keys that stand twice are a fault."""
    text, said = NO_YAML[0]
    assert said_of(place, text, "convert").startswith(said)


def test_another_kind_of_file_says_what_it_is_and_what_takes_it(place: Place) -> None:
    job = (place.folder / "job.yaml").read_text()
    for command in ("merge --out built", "evaluate --evaluator evaluator.yaml"):
        told = said_of(place, job, *command.split())
        assert "a recipe is wanted, and this is a job; `evomerge search spoilt.yaml` runs" in told
    recipe = (place.folder / "good_recipe.yaml").read_text()
    told = said_of(place, recipe, "search")
    assert "a job is wanted, and this is a recipe; `evomerge merge spoilt.yaml --out" in told
    told = said_of(place, "model: models/base\n", "search")
    assert "a job is wanted, and this is a recipe" in told
    theirs = "merge_method: ties\nmodels: [a, b]\n"
    for command in ("search", "check", "merge --out built"):
        told = said_of(place, theirs, *command.split())
        assert "`evomerge convert spoilt.yaml --out recipe.yaml`" in told
    told = said_of(place, "genome: {models: [a]}\n", "search")
    assert "`evomerge convert spoilt.yaml --out job.yaml` makes a job of it" in told
    told = said_of(place, (place.folder / "evaluator.yaml").read_text(), "search")
    assert "this is its evaluator alone; write `evaluator: spoilt.yaml` in a job" in told


def test_a_job_in_place_of_one_of_its_parts(place: Place) -> None:
    job = yaml.safe_load((place.folder / "job.yaml").read_text())
    for key in ("space", "evaluator", "cluster"):
        (place.folder / "spoilt.yaml").write_text(yaml.safe_dump({**job, key: "job.yaml"}))
        told = place.refuses("check", "spoilt.yaml")
        assert f"job.yaml: a job, and its `{key}` alone is wanted; move that to a file" in told
    told = place.refuses("evaluate", "models/base", "--evaluator", "job.yaml")
    assert "job.yaml: a job, and its `evaluator` alone is wanted" in told


def test_a_folder_a_missing_file_and_a_binary_file(place: Place) -> None:
    (place.folder / "weights.yaml").write_bytes(b"\x80\x81\x82")
    for command in (("check",), ("search",), ("merge", "--out", "built")):
        assert "models/base: a YAML file is wanted, and this is the folder of a model" in (
            place.refuses(*command, "models/base")
        )
        assert "none.yaml: no such file" in place.refuses(*command, "none.yaml")
        assert "weights.yaml: is no text in UTF-8" in place.refuses(*command, "weights.yaml")


def test_there_are_many_of_them() -> None:
    assert len(JOBS) + len(RECIPES) > 90
