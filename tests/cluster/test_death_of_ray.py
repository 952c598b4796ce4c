"""A search on a Ray that dies ends with a sentence, soon, and nothing of that Ray stays behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.driving import processes_of

ROOT = Path(__file__).parents[2]
RAYLET = "Ray has lost this machine: its raylet has died"
HEAD = "Ray has lost its head, which ran on this machine"


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize(
    ("process", "sentence"),
    [("gcs_server", HEAD), ("raylet", RAYLET), ("ray::DashboardA", RAYLET), ("all", RAYLET)],
)
def test_a_ray_that_dies_ends_the_wait(process: str, sentence: str, tmp_path: Path) -> None:
    """By its sockets, long before Ray itself would tell: what that says is another sentence."""
    program = [sys.executable, "-m", "tests.cluster.death_of_ray", process, str(tmp_path)]
    ended = subprocess.run(program, cwd=ROOT, capture_output=True, text=True)
    session, *said = ended.stdout.splitlines()
    expected = f"{sentence}; `evomerge resume` goes on once Ray runs again"
    assert said == [expected, "closed"], ended.stdout + ended.stderr
    assert ended.returncode == 0
    assert not processes_of(Path(session))
