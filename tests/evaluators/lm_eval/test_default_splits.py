"""Which documents are searched, choose and judge, where nothing is said: never the same ones."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from evomerge.errors import ConfigError
from evomerge.evaluators.base import SPLITS
from evomerge.evaluators.lm_eval.choices import Documents, Splits
from evomerge.evaluators.lm_eval.config import LmEvalConfig
from evomerge.evaluators.lm_eval.default_splits import chosen_splits
from evomerge.evaluators.lm_eval.task_files import TaskFile
from evomerge.evaluators.registry import read_evaluator
from tests.evaluators.task_folder import sum_task, write_task


def chosen(has: tuple[str, ...] = (), **keys: Any) -> list[str]:
    file = TaskFile(Path("task.yaml"), keys, ())
    splits = chosen_splits(file, lambda: has)
    parts = [getattr(splits, split) for split in SPLITS]
    for a, b in combinations(parts, 2):
        numbers = [
            {(part.split, place) for place in part.places(100)}
            for part in (a, b)
            if part is not None
        ]
        assert numbers[0].isdisjoint(numbers[1])
        assert not a.meets(b)
    return [str(part) for part in parts]


TEST, VALID, TRAIN = (
    {"test_split": "test"},
    {"validation_split": "valid"},
    {"training_split": "train"},
)


@pytest.mark.parametrize(
    ("keys", "has", "parts"),
    [
        (TEST | VALID | TRAIN, (), ["all of 'train'", "all of 'valid'", "all of 'test'"]),
        (TEST | TRAIN, (), ["'train'[0::2]", "'train'[1::2]", "all of 'test'"]),
        (TEST | VALID, (), ["'valid'[0::2]", "'valid'[1::2]", "all of 'test'"]),
        (VALID | TRAIN, (), ["'train'[0::2]", "'train'[1::2]", "all of 'valid'"]),
        (TEST, (), ["'test'[0::3]", "'test'[1::3]", "'test'[2::3]"]),
        (TEST, ("test",), ["'test'[0::3]", "'test'[1::3]", "'test'[2::3]"]),
        (
            TEST,
            ("validation", "test"),
            ["'validation'[0::2]", "'validation'[1::2]", "all of 'test'"],
        ),
        (
            TEST,
            ("test", "train", "validation"),
            ["all of 'train'", "all of 'validation'", "all of 'test'"],
        ),
        (
            TEST | {"fewshot_split": "validation"},
            ("test", "validation"),
            ["'test'[0::3]", "'test'[1::3]", "'test'[2::3]"],
        ),
        (TRAIN, (), ["'train'[0::3]", "'train'[1::3]", "'train'[2::3]"]),
        (
            TEST | TRAIN | {"fewshot_split": "train"},
            (),
            ["'train'[0::2]", "'train'[1::2]", "all of 'test'"],
        ),
    ],
)
def test_the_rule(keys: dict[str, Any], has: tuple[str, ...], parts: list[str]) -> None:
    assert chosen(has, **keys) == parts


def test_documents_in_turn_meet_only_their_own_kind() -> None:
    def part(first: int, step: int, end: int | None = None, split: str = "a") -> Documents:
        return Documents(split=split, first=first, step=step, end=end)

    assert part(0, 2).meets(part(0, 2))
    assert not part(0, 2).meets(part(1, 2))
    assert not part(0, 2).meets(part(3, 4))
    assert part(0, 2).meets(part(0, 3))
    assert part(1, 2).meets(part(0, 1))
    assert not part(0, 2, end=4).meets(part(4, 2))
    assert not part(0, 1).meets(part(0, 1, split="b"))
    assert list(part(1, 3, end=9).places(100)) == [1, 4, 7]
    assert list(part(1, 3, end=9).places(5)) == [1, 4]
    assert Documents(split="a", step=1) == Documents(split="a")
    assert "step" not in Documents(split="a").model_dump()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tasks").mkdir()
    return tmp_path


def load(folder: Path, **keys: Any) -> LmEvalConfig:
    data = {"kind": "lm_eval", "include_path": "tasks"} | keys
    config = read_evaluator(data, folder=folder, origin="job.yaml")
    assert isinstance(config, LmEvalConfig)
    return config


def test_a_task_by_its_name_alone(folder: Path) -> None:
    sum_task(folder / "tasks", training_split="search", validation_split="validation")
    alike: list[Any] = [["sums"], {"sums": None}, {"sums": {}}]
    configs = [load(folder, tasks=said) for said in alike]
    assert configs[0] == configs[1] == configs[2]
    choice = configs[0].tasks["sums"]
    assert (choice.metric, choice.filter, choice.weight) == ("exact_match", "answer", 1.0)
    assert choice.splits == Splits.model_validate({split: split for split in SPLITS})
    again = load(Path("/"), **json.loads(json.dumps(configs[0].model_dump(mode="json"))))
    assert again == configs[0]
    assert again.digest() == configs[0].digest()


def test_a_task_with_one_split_is_searched_on_a_third_of_it(folder: Path) -> None:
    rows = {"test": [{"q": f"{n}?", "a": str(n)} for n in range(7)]}
    keys = {"doc_to_text": "{{q}}", "doc_to_target": "{{a}}", "output_type": "generate_until"}
    write_task(folder / "tasks", "one", rows, test_split="test", **keys)
    config = load(folder, tasks=["one"])
    assert [config.sizes(split) for split in SPLITS] == [{"one": 3}, {"one": 2}, {"one": 2}]
    assert config.check_data() == []


def test_weights_that_are_not_said(folder: Path) -> None:
    for name in ("one", "two"):
        sum_task(folder / "tasks", name, training_split="search", validation_split="validation")
    both: dict[str, Any] = {"one": {}, "two": {"metric": "exact_match"}}
    assert load(folder, tasks=both).weights == {"one": 1.0, "two": 1.0}
    both["one"] = {"weight": 2.0}
    assert load(folder, tasks=both).weights == {"one": 2.0}


def hub(folder: Path, **keys: Any) -> None:
    write_task(
        folder / "tasks",
        "hub",
        {},
        dataset_path="nobody/nothing",
        dataset_kwargs=None,
        doc_to_text="{{q}}",
        output_type="generate_until",
        **keys,
    )


def test_data_that_cannot_be_had_is_said_in_one_sentence(folder: Path) -> None:
    hub(folder, training_split="train", test_split="test", dataset_name="main")
    config = load(folder, tasks=["hub"])
    assert config.sizes("search") == {}
    with pytest.raises(ConfigError) as caught:
        config.check_data()
    said = str(caught.value)
    assert said.startswith("task 'hub': its data set nobody/nothing (main) cannot be had here (")
    assert "datasets.load_dataset('nobody/nothing', 'main')" in said
    assert "\n" not in said
    # A task with one split needs to know what its data has, already when it is read.
    hub(folder, test_split="test")
    with pytest.raises(ConfigError, match=r"job\.yaml: task 'hub': its data set nobody/nothing ca"):
        load(folder, tasks=["hub"])


def test_splits_are_held_against_the_data(folder: Path) -> None:
    sum_task(folder / "tasks")
    short = {"split": "search", "first": 2, "end": 9}
    splits = {"search": short, "holdout": "holdout"}
    tasks = {"sums": {"filter": "answer", "weight": 1.0}}
    with pytest.raises(
        ConfigError, match=r"task 'sums': search wants documents 'search'\[2:9\], b"
    ):
        load(folder, tasks=tasks, splits=splits).check_data()


def data_set(folder: Path, *splits: str, **keys: Any) -> None:
    """The task `set`, whose data set is a folder of files: as on the hub it has names of splits."""
    data = folder / "data"
    data.mkdir()
    for split in splits:
        rows = "".join(json.dumps({"q": f"{split} {n}", "a": "1"}) + "\n" for n in range(4))
        (data / f"{split}.jsonl").write_text(rows)
    write_task(
        folder / "tasks",
        "set",
        {},
        dataset_path=str(data),
        dataset_kwargs=None,
        doc_to_text="{{q}}",
        doc_to_target="{{a}}",
        output_type="generate_until",
        **{"test_split": None, **keys},
    )


def test_a_task_that_is_judged_by_its_validation_split_is_searched_on_its_training_split(
    folder: Path,
) -> None:
    """hellaswag's test labels are hidden, and others have a validation split alone."""
    data_set(folder, "train", "validation", training_split="train", validation_split="validation")
    config = load(folder, tasks=["set"])
    config.check_test_sets()
    splits = config.splits_of("set")
    assert splits.search == Documents(split="train", step=2)
    assert splits.holdout == Documents(split="validation")


def test_a_task_with_a_validation_split_alone_is_searched_by_those_who_insist(folder: Path) -> None:
    data_set(folder, "validation", validation_split="validation")
    config = load(folder, tasks=["set"])
    assert config.splits_of("set").holdout == Documents(split="validation", first=2, step=3)
    law = r"set: search on 'validation'\[0::3\] \(without a test split, .*allow_test_split: true"
    with pytest.raises(ConfigError, match=law):
        config.check_test_sets()
    load(folder, tasks=["set"], allow_test_split=True).check_test_sets()


def test_a_data_set_by_its_name(folder: Path) -> None:
    data_set(folder, "train", "test", test_split="test")
    config = load(folder, tasks=["set"])
    (said,) = config.check_data()
    assert said.startswith("set: exact_match (filter none); search 'train'[0::2], validation 'trai")
    assert said.endswith("[1::2], holdout all of 'test'")
    wrong = {"search": "trian", "holdout": "test"}
    config = load(folder, tasks=["set"], splits=wrong)
    law = "wants documents all of 'trian', and its data has no such split; did you mean 'train'?"
    with pytest.raises(ConfigError, match=re.escape(law)):
        config.check_data()


@pytest.mark.process
def test_the_driver_asks_without_torch(folder: Path) -> None:
    hub(folder, training_split="train", test_split="test")
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from evomerge.evaluators.registry import read_evaluator\n"
        "from evomerge.errors import ConfigError\n"
        f"data = {{'kind': 'lm_eval', 'include_path': 'tasks', 'tasks': ['hub']}}\n"
        f"config = read_evaluator(data, folder=Path({str(folder)!r}), origin='o')\n"
        "try:\n    config.check_data()\nexcept ConfigError:\n    pass\n"
        "sys.exit(bool({'torch', 'lm_eval', 'vllm', 'transformers'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
