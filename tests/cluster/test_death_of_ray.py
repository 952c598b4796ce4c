"""A search on a Ray that dies ends with a sentence, and its process with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize(
    ("process", "sentence"),
    [("gcs_server", "Ray has not answered for"), ("raylet", "its raylet has died")],
)
def test_a_ray_that_dies_ends_the_wait(process: str, sentence: str, tmp_path: Path) -> None:
    program = [sys.executable, "-m", "tests.cluster.death_of_ray", process, str(tmp_path)]
    ended = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=200)
    said = [line for line in ended.stdout.splitlines() if "evomerge resume" in line]
    assert len(said) == 1, ended.stdout + ended.stderr
    assert sentence in said[0]
    assert ended.stdout.rstrip().endswith("closed")
    assert ended.returncode == 0
