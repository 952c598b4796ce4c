"""What a killed driver leaves of a Ray is swept; what anybody else has is not touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evomerge.cluster.ray_sessions import mark, sweep_sessions
from tests.cluster.driving import processes_of

Begin = Callable[..., "subprocess.Popen[bytes]"]


def session_in(folder: Path, name: str) -> Path:
    session = folder / f"session_{name}"
    (session / "logs").mkdir(parents=True)
    return session


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Begins a process that has a log of a session open, and bears the name that it is given."""
    begun = []

    def begin(session: Path, name: str = "ray::Agent") -> subprocess.Popen[bytes]:
        code = "import pathlib, sys; pathlib.Path('/proc/self/comm').write_text(sys.argv[1]);"
        code += "print(flush=True); sys.stdin.read()"
        with (session / "logs" / "agent.err").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", code, name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        begun.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


@pytest.mark.process
def test_agents_and_folder_of_a_dead_drivers_session_go(tmp_path: Path, begin: Begin) -> None:
    left = session_in(tmp_path, "left")
    mark(left).release()
    agents = [begin(left, "ray::Dashboard"), begin(left, "ray::RuntimeEnv")]
    (tmp_path / "session_latest").symlink_to(left)
    sweep_sessions(tmp_path)
    assert [agent.wait(timeout=60) for agent in agents] == [-signal.SIGKILL] * 2
    assert not left.exists()


@pytest.mark.process
def test_nothing_else_is_touched(tmp_path: Path, begin: Begin) -> None:
    left, living, foreign = (session_in(tmp_path, name) for name in ("left", "living", "foreign"))
    mark(left).release()
    own = mark(living)
    kept = [begin(living), begin(foreign), begin(left, "tail"), begin(left, "less")]
    elsewhere = session_in(tmp_path / "deep", "left")
    kept.append(begin(elsewhere))
    (tmp_path / "session_latest").symlink_to(living)
    sweep_sessions(tmp_path)
    assert [process.poll() for process in kept] == [None] * 5
    assert own.path.exists()
    assert (foreign / "logs").exists()
    assert not left.exists()


@pytest.mark.process
@pytest.mark.parametrize("name", ["raylet", "gcs_server"])
def test_a_session_whose_head_lives_stays(tmp_path: Path, begin: Begin, name: str) -> None:
    left = session_in(tmp_path, "left")
    mark(left).release()
    kept = [begin(left), begin(left, name)]
    sweep_sessions(tmp_path)
    assert [process.poll() for process in kept] == [None, None]
    assert left.exists()


STARTED = """
import os, ray, sys
from evomerge.cluster.config import RayConfig
from evomerge.cluster.ray_connection import RayConnection
connection = RayConnection(RayConfig(workers=1, dashboard=False))
print(os.path.realpath(ray._private.worker._global_node.get_session_dir_path()), flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), 9)
connection.close()
"""


@pytest.mark.ray
@pytest.mark.slow
def test_the_next_ray_that_starts_here_sweeps_and_a_foreign_one_lives(
    cluster: Any, tmp_path: Path
) -> None:
    """The cluster of the tests is the foreign one."""
    import ray

    def start(how: str) -> Path:
        program = [sys.executable, "-c", STARTED, how]
        environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        ended = subprocess.run(program, capture_output=True, text=True, env=environment)
        assert ended.returncode == (0 if how == "closed" else -signal.SIGKILL), ended.stderr
        return Path(ended.stdout.strip())

    head = cluster.head_node.node_id  # other tests end its other nodes, which Ray notices later

    def lives() -> bool:
        return any(node["Alive"] for node in ray.nodes() if node["NodeID"] == head)

    assert lives()
    killed = start("killed")
    assert list(killed.glob("evomerge.*"))
    closed = start("closed")
    assert not killed.exists()
    assert not list(closed.glob("evomerge.*"))
    assert not processes_of(killed)
    assert lives()
    assert Path(cluster.head_node.get_session_dir_path()).exists()
