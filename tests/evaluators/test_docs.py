"""What docs/evaluators.md and the catalog's README show is what is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from evomerge.conformance.toy_model import ToyModel
from evomerge.evaluators.registry import EVALUATORS, make_evaluator, read_evaluator
from tests.evaluators.pages import PAGE, README, blocks
from tests.evaluators.task_folder import choice_task, sum_task


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files that the pages' examples name."""
    (tmp_path / "tasks").mkdir()
    (tmp_path / "news").mkdir()
    sum_task(tmp_path / "tasks")
    for day in ("monday", "tuesday", "wednesday", "thursday"):
        (tmp_path / "news" / f"{day}.txt").write_text(f"What happened on {day}. " * 3)
    rows = [json.dumps({"text": f"print({number})"}) for number in range(400)]
    (tmp_path / "code.jsonl").write_text("\n".join(rows))
    (tmp_path / "style.py").write_text(blocks(PAGE, "python")[0])
    return tmp_path


@pytest.mark.parametrize("block", blocks(PAGE, "yaml"))
def test_the_pages_evaluators_work(block: str, folder: Path) -> None:
    config = read_evaluator(yaml.safe_load(block), folder=folder, origin="page")
    config = config.model_copy(update={"limits": {}}) if config.kind == "lm_eval" else config
    report = make_evaluator(config).evaluate(ToyModel(), "holdout")
    assert config.weights.keys() <= report.tasks.keys()


def test_the_page_has_every_kind() -> None:
    shown = [yaml.safe_load(block)["kind"] for block in blocks(PAGE, "yaml")]
    assert sorted(shown) == list(EVALUATORS.entries)


def test_the_readmes_evaluator_is_read(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    numbers = {split: split for split in ("search", "validation", "holdout")}
    sum_task(tmp_path / "tasks", "my_task")
    choice_task(tmp_path / "tasks", "other")
    (block,) = blocks(README, "yaml")
    data = yaml.safe_load(block) | {"splits": numbers}
    assert read_evaluator(data, folder=tmp_path, origin="README").weights == {"my_task": 1.0}
