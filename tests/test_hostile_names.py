"""Names that lead elsewhere, at each place of a job or a recipe where a file is named.

Whatever they are, the answer is a sentence or an ordinary check: no traceback, no waiting for a
pipe or a device, and no control character for the terminal to obey.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.place import Place

NAMES = {
    "nul": "a\0b",
    "nul in a file": "./a\0b.yaml",
    "newline and escape": "\x1b[31ma\nevomerge: all is well\x1b]0;x\x07",
    "long": "x" * 5_000,
    "long path": "./" + "x/" * 3_000 + "x.yaml",
    "elsewhere": "../../../../etc/passwd",
    "root": "/",
    "home of nobody": "~nobody-is-called-so/x.yaml",
    "a pipe": "./pipe",
    "a pipe as yaml": "./pipe.yaml",
    "a device": "/dev/zero",
    "a folder with pipes": "./pipes",
    "links in a circle": "./circle",
    "links in a circle as yaml": "./circle.yaml",
    "no text": "\ud800",
}


def _in_job(*keys: str) -> Callable[[Place, str], None]:
    def put(place: Place, name: str) -> None:
        at: Any = place.job
        for key in keys[:-1]:
            at = at[key]
        at[keys[-1]] = name

    return put


def _in_evaluator(key: str) -> Callable[[Place, str], None]:
    def put(place: Place, name: str) -> None:
        place.evaluator[key] = {name: {"metric": "exact_match"}} if key == "tasks" else name

    return put


def _in_task(**keys: Any) -> Callable[[Place, str], None]:
    def put(place: Place, name: str) -> None:
        path = place.folder / "tasks" / "sums.yaml"
        said = yaml.safe_load(path.read_text())
        text = json.dumps(said | keys).replace('"NAME"', json.dumps(name))
        path.write_text(text)

    return put


PLACES = {
    "model": _in_job("sources", "json", "model"),
    "adapter": _in_job("sources", "json", "adapter"),
    "statistics": _in_job("sources", "json", "statistics"),
    "evaluator": _in_job("evaluator"),
    "space": _in_job("space"),
    "cluster": _in_job("cluster"),
    "optimizer": _in_job("optimizer"),
    "warm start": lambda place, name: place.job.update(warm_start={"recipes": [name]}),
    "task folder": _in_evaluator("include_path"),
    "task": _in_evaluator("tasks"),
    "include": _in_task(include="NAME"),
    "data": _in_task(dataset_kwargs={"data_files": {"search": "NAME"}}),
    "data set": _in_task(dataset_path="NAME"),
    "template": _in_task(doc_to_text="NAME"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("names") / "here")
    for folder in (place.folder, place.folder / "tasks"):
        for name in ("pipe", "pipe.yaml"):
            os.mkfifo(folder / name)
        for name in ("circle", "circle.yaml"):
            (folder / name).symlink_to(name)
    pipes = place.folder / "pipes"
    pipes.mkdir()
    for name in ("config.json", "adapter_config.json", "statistics.json", "sums.yaml"):
        os.mkfifo(pipes / name)
    return place


@pytest.mark.parametrize("at", PLACES)
@pytest.mark.parametrize("called", NAMES)
def test_a_hostile_name_is_a_sentence(place: Place, at: str, called: str) -> None:
    job, evaluator = dict(place.job), dict(place.evaluator)
    place.job = json.loads(json.dumps(job))
    task = (place.folder / "tasks" / "sums.yaml").read_bytes()
    try:
        PLACES[at](place, NAMES[called])
        (place.folder / "evaluator.yaml").write_text(json.dumps(place.evaluator))
        (place.folder / "job.yaml").write_text(json.dumps(place.job))
        ended = place.run("check", "job.yaml")
    finally:
        place.job, place.evaluator = job, evaluator
        (place.folder / "tasks" / "sums.yaml").write_bytes(task)
    said = ended.stderr
    assert ended.returncode in (0, 2), said
    assert "Traceback" not in said
    assert "\x1b" not in said + ended.stdout
    assert not any(line.startswith("evomerge: all is well") for line in said.splitlines())
    assert len(said) < 4_000
