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
def test_marked(): note("{mark}")

@pytest.mark.parametrize("turn", range(9))
def test_others(turn): note("{mark}")

def test_broken(): assert 0
"""


@pytest.mark.process
def test_who_runs_what(tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    for mark in ("light", "ray", "vllm"):
        (tmp_path / f"test_{mark}.py").write_text(TESTS.format(mark=mark))
    sharing = "-p tests.turns --numprocesses 2 --dist loadfile --no-loadscope-reorder"
    command = [sys.executable, "-m", "pytest", "-p", "xdist.plugin", *sharing.split()]
    bare = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ended = subprocess.run(command, cwd=tmp_path, env=bare, capture_output=True, text=True)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    ran = [line.split() for line in (tmp_path / "ran").read_text().splitlines()]
    assert len(ran) == 3 * 10
    processes = {name: {process for one, process in ran if one == name} for name, _ in ran}
    assert len(processes["light"]) == 1
    assert processes["ray"] == processes["vllm"] != processes["light"]
    assert "FAILED test_ray.py::test_broken - " in ended.stdout
