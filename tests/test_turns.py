"""Tests that take a whole machine run one after another, in one process; the rest goes by file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SETTINGS = "[pytest]\nmarkers =\n    light:\n    ray:\n    vllm:\n"
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


@pytest.mark.process
def test_who_runs_what(tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    for mark in ("light", "ray", "vllm"):
        (tmp_path / f"test_{mark}.py").write_text(TESTS.format(mark=mark))
    every = TESTS.partition("@pytest")[0] + EVERY
    (tmp_path / "test_every.py").write_text(every)
    sharing = "-p tests.turns --numprocesses 2 --dist loadfile --no-loadscope-reorder"
    command = [sys.executable, "-m", "pytest", "-p", "xdist.plugin", *sharing.split()]
    bare = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ended = subprocess.run(command, cwd=tmp_path, env=bare, capture_output=True, text=True)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    ran = [line.split() for line in (tmp_path / "ran").read_text().splitlines()]
    assert len(ran) == 3 * 12 + 1
    processes = {name: {process for one, process in ran if one == name} for name, _ in ran}
    assert all(len(own) == 1 for own in processes.values())
    assert processes["ray"] == processes["vllm"] == processes["every"]
    assert "FAILED test_ray.py::test_broken - " in ended.stdout
