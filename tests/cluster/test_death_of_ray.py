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
    ("process", "ray_timeout_s", "sentence"),
    [("gcs_server", "12", "Ray has not answered for"), ("raylet", "50", "its raylet has died")],
)
def test_a_ray_that_dies_ends_the_wait(
    process: str, ray_timeout_s: str, sentence: str, tmp_path: Path
) -> None:
    program = [sys.executable, "-m", "tests.cluster.death_of_ray"]
    arguments = [process, ray_timeout_s, str(tmp_path)]
    ended = subprocess.run(program + arguments, cwd=ROOT, capture_output=True, text=True)
    said = [line for line in ended.stdout.splitlines() if "evomerge resume" in line]
    assert len(said) == 1, ended.stdout + ended.stderr
    assert sentence in said[0]
    assert ended.stdout.rstrip().endswith("closed")
    assert ended.returncode == 0
