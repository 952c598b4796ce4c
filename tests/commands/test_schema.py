"""The JSON Schemas: they take every file that is shown anywhere, and no misspelt key."""

from __future__ import annotations

import contextlib
import copy
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from evomerge.commands.schema import FILES, FileKind, schema_of
from evomerge.evaluators.registry import EVALUATORS
from evomerge.optimizers.registry import OPTIMIZERS
from evomerge.recipe.tree import KINDS
from evomerge.recipe.yaml_reading import read_mapping
from evomerge.search_spaces.registry import SPACES
from tests.commands.test_refusals import JOBS, RECIPES
from tests.place import Place
from tests.plugins.installed import offer

ROOT = Path(__file__).parents[2]
OPEN = ("options", "vllm")
"""Keys that hold what another library takes."""


@cache
def schema(kind: FileKind) -> Any:
    with contextlib.chdir(ROOT):
        return schema_of(kind)


def fault(kind: FileKind, data: Any, *, partly: bool = False) -> str:
    """What the schema has against some data; empty if nothing. `partly`: keys may be missing."""
    law = {**schema(kind), "required": []} if partly else schema(kind)
    problem = best_match(Draft202012Validator(law).iter_errors(data))
    return f"{problem.json_path}: {problem.message}" if problem else ""


def shipped() -> Iterator[tuple[FileKind, Path]]:
    """Every file of the examples and the catalogs."""
    folders: dict[FileKind, tuple[str, str]] = {
        "job": ("examples", "*.yaml"),
        "cluster": ("cluster", "*.yaml"),
        "space": ("search_spaces", "**/*.yaml"),
    }
    for kind, (folder, pattern) in folders.items():
        yield from ((kind, path) for path in sorted((ROOT / folder).glob(pattern)))
    evaluators = ROOT / "evaluators"
    for path in (*evaluators.glob("*.yaml"), *evaluators.glob("*/evaluator.yaml")):
        yield "evaluator", path


SHIPPED = [pytest.param(kind, path, id=path.stem) for kind, path in shipped()]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("*/README.md")), *sorted(ROOT.glob("docs/*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.parent.name}-{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(
        re.findall(r"```ya?ml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    )
    if not re.search(r"^(task|merge_method|genome):", block, re.MULTILINE)
]
"""Without the files of lm-eval and mergekit."""


@pytest.mark.parametrize("kind", FILES)
def test_it_is_json_schema_and_the_one_in_docs(kind: FileKind) -> None:
    Draft202012Validator.check_schema(schema(kind))
    stored = (ROOT / "docs" / "schema" / f"{kind}.json").read_text(encoding="utf-8")
    assert json.loads(stored) == schema(kind), "run `make schema`"


def test_the_command_prints_it(tmp_path: Path) -> None:
    place = Place(tmp_path / "here")
    assert json.loads(place.run("schema").stdout)["title"].startswith("A job")
    printed = json.loads(place.run("schema", "--of", "recipe").stdout)
    assert printed == schema("recipe")


@pytest.mark.parametrize(("kind", "path"), SHIPPED)
def test_it_takes_what_is_shipped(kind: FileKind, path: Path) -> None:
    assert not fault(kind, read_mapping(path))


@pytest.mark.parametrize(("kind", "path"), SHIPPED)
def test_an_editor_finds_it(kind: FileKind, path: Path) -> None:
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    named = first.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / named).resolve() == ROOT / "docs" / "schema" / f"{kind}.json"


@pytest.mark.parametrize("block", BLOCKS)
def test_it_takes_what_pages_show(block: str, tmp_path: Path) -> None:
    """Jobs and recipes, whole or in parts, and catalog entries."""
    (tmp_path / "block.yaml").write_text(block.replace("{kind: merge, ...}", "./merged"))
    data = read_mapping(tmp_path / "block.yaml")
    for key, registry in (("space", SPACES), ("optimizer", OPTIMIZERS), ("evaluator", EVALUATORS)):
        written = data.get(key)
        if isinstance(written, dict) and written.get("kind") not in (None, *registry.known):
            data.pop(key)  # of a package that the page makes
    kind = data.get("kind")
    if kind in KINDS and "inputs" not in data:
        data |= {"method": "linear", "inputs": {"base": "./base"}}
    if kind in KINDS:
        assert not fault("recipe", data)
    elif kind is None:
        assert not fault("job", data, partly=not {"space", "optimizer"} <= data.keys())
    else:
        faults = [fault(of, data) for of in ("evaluator", "space", "cluster")]
        assert "" in faults, faults


@pytest.mark.parametrize("path", sorted((ROOT / "tests/fixtures/jobs").glob("*.json")), ids=str)
def test_it_takes_a_job_as_a_study_keeps_it(path: Path) -> None:
    assert not fault("job", json.loads(path.read_text()))


PLAIN: dict[str, Any] = {
    "name": "a",
    "sources": {
        "base": "../base",
        "math": "owner/math@main",
        "json": {"model": "a"},
    },
    "space": {"kind": "parameter", "base": "base", "method": ["ties", "linear"]},
    "optimizer": {"kind": "optuna", "sampler": "tpe", "n_startup_trials": 20},
    "evaluator": ["json_math", {"kind": "python", "callable": "a:b", "examples": {"search": 1}}],
    "budget": {"candidates": 5},
    "cluster": "head:6379",
    "engine": "transformers",
    "warm_start": {"recipes": ["best.yaml", {"kind": "merge", "method": "ties", "inputs": {}}]},
}


def test_it_takes_plain_forms() -> None:
    assert not fault("job", PLAIN)
    for change in (
        {"optimizer": "cma_es"},
        {"cluster": "auto"},
        {"cluster": {"kind": "ray", "workers": {"max": 3}}},
        {"cluster": {"workers": 3}},
        {"space": "parameter_space/evollm"},
        {"space": {"kind": "dataflow", "scale_range": [0.5, 1.5], "recipes": {"m": "m.yaml"}}},
        {"evaluator": "mine.yaml"},
        {"evaluator": {"kind": "mixture", "of": {"a": "json_math"}}},
        {"engine": {"max_length": 256}},
        {"storage": None, "schedule": "whole"},
    ):
        assert not fault("job", {**PLAIN, **change}), change
    rule = {"where": {}, "options": {"lambda": 1}, "math": {"weight": 0.5}}
    recipe = {"kind": "merge", "method": "ties", "inputs": {"math": "./math"}, "rules": [rule]}
    assert not fault("recipe", recipe)
    assert not fault("recipe", recipe | {"tokenizer": "base"})
    assert not fault("recipe", {"model": "./math"})


def misspelt(data: Any, path: tuple[Any, ...] = ()) -> Iterator[Any]:
    """The data with a key that nobody knows in each of its mappings in turn."""
    if isinstance(data, dict) and not (path and path[-1] in OPEN):
        yield {**data, "evomrege": [[0]]}
        for key, value in data.items():
            for spoilt in misspelt(value, (*path, key)):
                yield {**data, key: spoilt}
    elif isinstance(data, list):
        for place, value in enumerate(data):
            for spoilt in misspelt(value, (*path, place)):
                yield [*data[:place], spoilt, *data[place + 1 :]]


@pytest.mark.parametrize(("kind", "path"), SHIPPED)
def test_it_takes_no_key_that_nobody_knows(kind: FileKind, path: Path) -> None:
    spoilt = list(misspelt(read_mapping(path)))
    assert spoilt
    assert not [data for data in spoilt if not fault(kind, data)]


def test_it_refuses_what_the_commands_refuse(tmp_path: Path) -> None:
    """All that needs neither a model, nor a catalog, nor the other keys."""
    place = Place(tmp_path / "here")
    recipe = {
        "kind": "merge",
        "method": "ties",
        "base": "base",
        "inputs": {"base": "models/base", "math": {"model": "models/math"}},
        "rules": [{"where": {}, "math": {"weight": 0.5, "density": 0.5}}],
    }
    wanted = re.compile(r"must be|needs \d|at most|unknown key '|is missing|as 'kind'|no kind")
    kinds: tuple[tuple[FileKind, Any, Any], ...] = (
        ("job", place.job, JOBS),
        ("recipe", recipe, RECIPES),
    )
    taken = []
    for kind, good, table in kinds:
        assert not fault(kind, good)
        for spoil, said in table:
            data = yaml.safe_load(yaml.safe_dump(good))
            spoil(data)
            if wanted.search(said) and not fault(kind, data):
                taken.append(said)
    # A name with a space at its end, or '..'; a method's own options.
    assert len(taken) <= 3, taken


def test_every_key_says_what_it_is() -> None:
    assert not [where for kind in FILES for where in undescribed(schema(kind), kind)]


def undescribed(law: Any, where: str) -> Iterator[str]:
    if isinstance(law, list):
        for part in law:
            yield from undescribed(part, where)
    if isinstance(law, dict):
        for name, held in law.get("properties", {}).items():
            if not held.get("description"):
                yield f"{where}.{name}"
        for key, part in law.items():
            if key != "default":
                yield from undescribed(part, f"{where}.{key}")


def test_a_method_is_one_that_is_installed() -> None:
    space = {"kind": "parameter", "method": "tise"}
    assert fault("space", space)
    assert fault("space", space | {"method": ["ties", "tise"]})
    assert not fault("space", space | {"method": ["ties"]})


PLUGIN = """
from typing import Literal
from evomerge.optimizers.base import OptimizerConfig
class ClimbConfig(OptimizerConfig):
    "Climbs."
    kind: Literal["climb"] = "climb"
    rope: int = 3
    "How long."
class Climb:
    config = ClimbConfig
"""


def test_what_another_package_offers_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    offer(tmp_path, "climbing_schema", PLUGIN, {"evomerge.optimizers": {"climb": "Climb"}})
    entries = OPTIMIZERS.__dict__.pop("entries", None)
    try:
        law = copy.deepcopy(schema_of("job"))
    finally:
        if entries is not None:
            OPTIMIZERS.__dict__["entries"] = entries
    checks = Draft202012Validator(law)
    assert checks.is_valid({**PLAIN, "optimizer": {"kind": "climb", "rope": 5}})
    assert checks.is_valid({**PLAIN, "optimizer": "climb"})
    assert not checks.is_valid({**PLAIN, "optimizer": {"kind": "climb", "rop": 5}})
    assert fault("job", {**PLAIN, "optimizer": "climb"})
