"""Jobs, recipes and evaluators that pages show are read, and pass `evomerge check`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from evomerge.config import read_job
from evomerge.conformance.toy_model import ToyModel
from evomerge.evaluators.registry import EVALUATORS, make_evaluator, read_evaluator
from evomerge.recipe.yaml import read_recipe
from evomerge.recipe.yaml_reading import read_mapping
from evomerge.trust import VARIABLE
from tests.docs.models import Headers
from tests.docs.pages import PAGES, Block, blocks
from tests.docs.world import JOB, SPLITS, TEXT, kind_of, whole, write_files
from tests.place import run

LEARNED = ("adamerging", "expert_merging")
EXTENDING = "docs/extending.md"
"""Its job takes four packages; `test_extending` installs them and runs it."""
SHOWN = [block for page in PAGES for block in blocks(page) if block.language == "yaml"]


@pytest.fixture(scope="module")
def headers(tmp_path_factory: pytest.TempPathFactory) -> Headers:
    return Headers(tmp_path_factory.mktemp("headers"))


@pytest.fixture(autouse=True)
def _consent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path)
    (style,) = [b for b in blocks("docs/evaluators.md") if "def brevity" in b.text]
    (tmp_path / "style.py").write_text(style.text)
    return tmp_path


READ = [block for block in SHOWN if not block.reason and block.page != EXTENDING]


@pytest.mark.parametrize("block", READ, ids=str)
def test_it_is_what_it_looks_like(block: Block, folder: Path, headers: Headers) -> None:
    file = folder / "shown.yaml"
    file.write_text(block.text)
    data = read_mapping(file)
    match kind_of(data):
        case "evaluator":
            evaluate(data, folder)
        case "recipe" if data["kind"] == "merge" and data["method"] in LEARNED:
            read_recipe(file)  # `evomerge learn` makes what `check` asks for
        case "recipe":
            check(headers.placed(data), folder)
        case "job":
            check_job(headers.placed(data), folder)
        case _:
            check_job(headers.placed(whole(data)), folder)


def check_job(job: dict[str, Any], folder: Path) -> None:
    """Read it as it is, and check it with what this machine lacks left out: GPUs, vLLM, the hub."""
    (folder / "shown.yaml").write_text(yaml.safe_dump(job))
    evaluator = read_job(folder / "shown.yaml").evaluator
    of_the_hub = evaluator.kind == "lm_eval" and getattr(evaluator, "include_path", None) is None
    here = {"evaluator": TEXT} if of_the_hub else {}
    check(job | here | {key: JOB[key] for key in ("engine", "cluster")}, folder)


def check(data: dict[str, Any], folder: Path) -> None:
    (folder / "shown.yaml").write_text(yaml.safe_dump(data))
    ended = run(folder, "check", "shown.yaml")
    assert ended.returncode == 0, ended.stderr


def evaluate(data: dict[str, Any], folder: Path) -> None:
    """Over a toy model; parts of a hub's data set are the splits of the tasks that are here."""
    splits = data.get("splits", {}).values()
    if any(isinstance(split, dict) and "split" in split for split in splits):
        data = data | {"splits": {split: split for split in SPLITS}}
    config = read_evaluator(data, folder=folder, origin="page")
    config = config.model_copy(update={"limits": {}}) if config.kind == "lm_eval" else config
    report = make_evaluator(config).evaluate(ToyModel(), "holdout")
    assert config.weights.keys() <= report.tasks.keys()


def test_there_is_an_evaluator_of_every_kind() -> None:
    shown = {yaml.safe_load(b.text).get("kind") for b in SHOWN if b.page == "docs/evaluators.md"}
    assert shown >= set(EVALUATORS.entries)
