"""A data set of the hub whose copy lies on this machine, asked for without a network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import datasets
import pytest

from tests.evaluators.task_folder import write_task

ASKS = """
import sys
from pathlib import Path
from evomerge.errors import ConfigError
from evomerge.evaluators.registry import read_evaluator
for keys in ({}, {"splits": {"search": {"split": "train", "end": 12}, "holdout": "test"}}):
    data = {"kind": "lm_eval", "include_path": "tasks", "tasks": ["thing"], **keys}
    config = read_evaluator(data, folder=Path(sys.argv[1]), origin="job.yaml")
    try:
        print(*config.check_data())
    except ConfigError as problem:
        print(problem)
"""


def cached(folder: Path, cache: Path) -> None:
    """Puts `nobody/thing` where a data set lies that was loaded from the hub before."""
    for split, count in (("train", 9), ("test", 5)):
        rows = (json.dumps({"q": f"{split} {n}", "a": "1"}) for n in range(count))
        (folder / f"{split}.jsonl").write_text("\n".join(rows))
    made = datasets.load_dataset_builder(str(folder), cache_dir=str(folder / "made"))
    made.download_and_prepare()
    copy = cache / "nobody___thing" / "default" / "0.0.0" / ("a" * 40)
    copy.mkdir(parents=True)
    for file in Path(made.cache_dir).iterdir():
        named = f"thing-{file.name.split('-', 1)[1]}" if file.suffix == ".arrow" else file.name
        shutil.copy(file, copy / named)
    description = json.loads((copy / "dataset_info.json").read_text())
    description |= {"dataset_name": "thing", "builder_name": "json"}
    (copy / "dataset_info.json").write_text(json.dumps(description))


@pytest.mark.process
def test_a_copy_on_this_machine_says_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "tasks").mkdir()
    cached(tmp_path / "rows", tmp_path / "cache")
    write_task(
        tmp_path / "tasks",
        "thing",
        {},
        dataset_path="nobody/thing",
        dataset_kwargs=None,
        training_split="train",
        test_split="test",
        output_type="generate_until",
        doc_to_text="{{q}}",
        doc_to_target="{{a}}",
    )
    ended = subprocess.run(
        [sys.executable, "-c", ASKS, str(tmp_path)],
        env={**os.environ, "HF_DATASETS_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    remark, refusal = ended.stdout.splitlines()
    assert "search 'train'[0::2], validation 'train'[1::2], holdout all of 'test'" in remark
    assert refusal == "task 'thing': search wants documents 'train'[0:12], but there are 9"
