"""A plan reads each model once and builds each thing once, whoever asks for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from evomerge.config import read_job
from evomerge.models.headers import Headers
from evomerge.models.inventory import Inventory, read_inventory
from evomerge.searching.forecast import cost
from evomerge.searching.job_check import check_job
from evomerge.searching.plan import Plan
from tests.place import Place

JOBS: dict[str, dict[str, Any]] = {
    "parameter": {
        "space": {
            "kind": "parameter",
            "base": "base",
            "method": ["ties", "dare_ties"],
            "genes": {"weight": [0, 1], "density": [0.1, 1]},
        }
    },
    "dataflow": {
        "space": {"kind": "dataflow", "inputs": ["json", "math", "base"], "repetitions": 2}
    },
    "segments": {
        "space": {"kind": "segments", "base": "base", "resolution": 50},
        "optimizer": "natural_niches",
    },
}


class Counting:
    """Reads inventories, and counts how often each folder's is read."""

    def __init__(self) -> None:
        self.reads: Counter[str] = Counter()

    def __call__(self, folder: Path) -> Inventory:
        self.reads[folder.name] += 1
        return read_inventory(folder)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "here")
    place.job["optimizer"] = "random"
    return place


def planned(place: Place, reads: Counting) -> Plan:
    place.write()
    return Plan(read_job(place.folder / "job.yaml"), "job.yaml", Headers(reads))


@pytest.mark.parametrize("kind", JOBS)
def test_every_model_is_read_once_whatever_is_asked(place: Place, kind: str) -> None:
    place.job |= JOBS[kind]
    reads = Counting()
    plan = planned(place, reads)
    for _ in range(2):
        check_job(plan)
        cost(plan)
        assert plan.fingerprints.keys() == plan.job.sources.keys()
        assert plan.baselines
        assert plan.landmarks
    assert reads.reads == dict.fromkeys(("base", "json", "math"), 1)


def test_everything_is_built_once(place: Place) -> None:
    plan = planned(place, Counting())
    before = {
        name: getattr(plan, name)
        for name in ("space", "optimizer", "landmarks", "baselines", "objective", "samples")
    }
    check_job(plan)
    cost(plan)
    assert [name for name, thing in before.items() if getattr(plan, name) is not thing] == []


OPENED = """
import json, sys
opened = {}
def listen(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".safetensors"):
        opened[str(arguments[0])] = opened.get(str(arguments[0]), 0) + 1
sys.addaudithook(listen)
from evomerge.commands.main import app
app(["check", "job.yaml"], standalone_mode=False)
print(json.dumps(opened))
"""


@pytest.mark.parametrize("kind", JOBS)
def test_check_opens_every_file_of_weights_once(place: Place, kind: str) -> None:
    place.job |= JOBS[kind]
    place.write()
    ended = subprocess.run(
        [sys.executable, "-c", OPENED],
        cwd=place.folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    opened = json.loads(ended.stdout.splitlines()[-1])
    assert sorted(opened.values()) == [1, 1, 1], opened
