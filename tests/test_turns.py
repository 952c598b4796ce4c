"""Tests that take a whole machine run one after another, in one process; the rest goes by file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SETTINGS = """
[pytest]
pythonpath = .
testpaths = .
markers =
    light:
    ray:
    slow:
    vllm:
"""
TESTS = """
import os
import pytest

def note(name):
    with open("ran", "a") as file:
        print(name, os.environ["PYTEST_XDIST_WORKER"], file=file)

@pytest.mark.{mark}
@pytest.mark.parametrize("turn", range(3))
def test_marked(turn): note("{mark}")

@pytest.mark.parametrize("turn", range(9))
def test_others(turn): note("beside-{mark}")

def test_broken(): assert 0
"""
EVERY = """
pytestmark = pytest.mark.ray
def test_one(): note("every")
"""


SLOW = """
import gc

def test_one():
    note("quick beside slow" if gc.isenabled() and gc.get_freeze_count() else "unfrozen")

@pytest.mark.slow
def test_two(): note("slow")
"""


def shared(folder: Path, processes: int) -> subprocess.CompletedProcess[str]:
    """The tests of a folder run by so many processes, as `make test` has it."""
    (folder / "pytest.ini").write_text(SETTINGS)
    sharing = f"-p tests.turns --numprocesses {processes} --dist loadfile --no-loadscope-reorder"
    command = [sys.executable, "-m", "pytest", "-p", "xdist.plugin", *sharing.split()]
    bare = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=folder, env=os.environ | bare, capture_output=True, text=True
    )


@pytest.mark.process
def test_who_runs_what(tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    for mark in ("light", "ray", "vllm"):
        (tmp_path / f"test_{mark}.py").write_text(TESTS.format(mark=mark))
    every = TESTS.partition("@pytest")[0] + EVERY
    (tmp_path / "test_every.py").write_text(every)
    ended = shared(tmp_path, 3)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    ran = [line.split() for line in (tmp_path / "ran").read_text().splitlines()]
    assert len(ran) == 3 * 12 + 1
    processes = {name: {process for one, process in ran if one == name} for name, _ in ran}
    assert all(len(own) == 1 for own in processes.values())
    assert processes["ray"] == processes["vllm"] == processes["every"]
    assert "FAILED test_ray.py::test_broken - " in ended.stdout
    compiled = {file.name.partition(".")[0] for file in tmp_path.glob("*/*-pytest-*.pyc")}
    assert compiled == {"test_light", "test_ray", "test_vllm", "test_every"}


@pytest.mark.process
def test_what_takes_longest_comes_first(tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    head = TESTS.partition("@pytest")[0]
    for file, text in {
        "a": TESTS.format(mark="light"),
        "b": head + SLOW,
        "c": head + EVERY,
    }.items():
        (tmp_path / f"test_{file}.py").write_text(text)
    shared(tmp_path, 1)
    ran = [line.rpartition(" ")[0] for line in (tmp_path / "ran").read_text().splitlines()]
    assert ran[:4] == ["every", "quick beside slow", "slow", "light"]


@pytest.mark.process
def test_the_others_give_way_to_those_that_take_turns(tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    head = """
import os, time
import pytest

def test_one():
    with open(__name__, "w") as file:
        print(os.nice(0), os.environ["RAY_worker_niceness"], file=file)
    time.sleep(1)
"""
    (tmp_path / "test_a.py").write_text(head)
    (tmp_path / "test_b.py").write_text(head + "pytestmark = pytest.mark.ray")
    shared(tmp_path, 2)
    own = os.nice(0)
    assert (tmp_path / "test_b").read_text().split() == [str(own), "0"]
    assert (tmp_path / "test_a").read_text().split()[0] == str(min(own + 5, 19))
