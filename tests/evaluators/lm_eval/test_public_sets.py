"""A search on what a benchmark is judged by everywhere is refused, unless it insists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evomerge.errors import ConfigError
from evomerge.evaluators.lm_eval.config import LmEvalConfig
from evomerge.evaluators.mixture.config import MixtureConfig
from evomerge.evaluators.registry import read_evaluator
from tests.evaluators.task_folder import evaluator, sum_task, write_task

SUMS = {"sums": {"metric": "exact_match", "filter": "answer", "weight": 1.0}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tasks").mkdir()
    sum_task(tmp_path / "tasks")
    return tmp_path


def load(folder: Path, data: Any) -> LmEvalConfig:
    config = read_evaluator(data, folder=folder, origin="job.yaml")
    assert isinstance(config, LmEvalConfig)
    return config


@pytest.mark.parametrize(
    ("splits", "keys", "said"),
    [
        ({"search": "test", "holdout": "train"}, {}, "hub: search on all of 'test'"),
        (
            {
                "search": "train",
                "validation": {"split": "test", "end": 9},
                "holdout": {"split": "test", "first": 9},
            },
            {},
            "hub: validation on 'test'[0:9]",
        ),
        (
            {"search": {"split": "test_r3", "end": 9}, "holdout": "dev"},
            {"test_split": "test_r3"},
            "hub: search on 'test_r3'[0:9]",
        ),
        (
            {"search": "val", "holdout": "train"},
            {"training_split": "train", "validation_split": "val", "test_split": None},
            "hub: search on all of 'val' (without a test split, it is reported on this one)",
        ),
        (
            {"search": "train", "validation": "v", "holdout": "dev"},
            {"validation_split": "v", "test_split": None},
            "hub: validation on all of 'v' (without a test split, it is reported on this one)",
        ),
    ],
)
def test_a_benchmarks_test_set_is_searched_by_those_who_insist(
    folder: Path, splits: dict[str, Any], keys: dict[str, Any], said: str
) -> None:
    hub = {"doc_to_text": "{{q}}", "dataset_path": "somebody/benchmark", "dataset_kwargs": None}
    write_task(folder / "tasks", "hub", {}, **hub, **keys)
    data = evaluator({"hub": {"metric": "exact_match", "weight": 1}}, splits=splits)
    config = load(folder, data)
    assert config.test_sets() == [said]
    with pytest.raises(ConfigError, match=r"public test set.*allow_test_split: true") as caught:
        config.check_test_sets()
    assert said in str(caught.value)
    insisting = load(folder, data | {"allow_test_split": True})
    insisting.check_test_sets()
    assert insisting.test_sets() == [said]
    mixed = MixtureConfig(of={"one": config, "two": load(folder, evaluator(SUMS))})
    assert mixed.test_sets() == [f"one/{said}"]
    with pytest.raises(ConfigError, match=r"of\.one: .*public test set"):
        mixed.check_test_sets()


def test_a_test_set_that_only_judges_is_none_that_is_searched(folder: Path) -> None:
    """And data of one's own is no benchmark, whatever its splits are called."""
    hub = {"doc_to_text": "{{q}}", "dataset_path": "somebody/benchmark", "dataset_kwargs": None}
    write_task(folder / "tasks", "hub", {}, **hub)
    splits = {"search": "train", "validation": "dev", "holdout": "test"}
    load(folder, evaluator({"hub": {"weight": 1}}, splits=splits)).check_test_sets()
    splits = {"search": "train", "validation": "valid", "holdout": "dev"}
    named = {"training_split": "train", "validation_split": "valid", "test_split": "hidden"}
    write_task(folder / "tasks", "hub", {}, **hub, **named)
    load(folder, evaluator({"hub": {"weight": 1}}, splits=splits)).check_test_sets()
    rows = [{"q": str(n), "a": "1"} for n in range(6)]
    keys = {"doc_to_text": "{{q}}", "doc_to_target": "{{a}}", "output_type": "generate_until"}
    write_task(folder / "tasks", "mine", {"test": rows, "holdout": [{"q": "7", "a": "1"}]}, **keys)
    own = evaluator({"mine": {"weight": 1}}, splits={"search": "test", "holdout": "holdout"})
    config = load(folder, own)
    config.check_test_sets()
    assert config.test_sets() == []
