"""The script for sbatch, with the commands of Slurm played by others."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.places.files import CLUSTER, write_program

SCRIPT = CLUSTER / "slurm" / "evomerge.sbatch"
NODES = ("node-a", "node-b")
PATIENCE_S = 240

SRUN = """#!/usr/bin/env bash
# Runs the step here, whatever node it is for, and notes which one that was.
while [[ $1 == --* ]]; do [[ $1 == --nodelist=* ]] && node=${1#*=}; shift; done
echo "$node $*" >> "$NOTES/steps"
exec "$@"
"""
SCONTROL = """#!/usr/bin/env bash
if [[ $1 == requeue ]]; then echo "$2" > "$NOTES/requeued"; else printf '%s\\n' node-a node-b; fi
"""
SLEEPING_RAY = "#!/usr/bin/env bash\nexec sleep 600\n"
NOTING = """#!/usr/bin/env bash
echo "$*" > "$NOTES/search"; {then}
"""
NODES_OF_RAY = """
import os, ray
ray.init(log_to_driver=False, logging_level="ERROR")
print(len(ray.nodes()), os.environ["RAY_AUTH_MODE"], len(os.environ["RAY_AUTH_TOKEN"]))
"""

Begin = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Begins the job in a folder where `ray`, `python` and `evomerge` are what a test says."""
    begun: list[subprocess.Popen[str]] = []
    commands = tmp_path / "venv" / "bin"
    write_program(commands / "srun", SRUN)
    write_program(commands / "scontrol", SCONTROL)
    write_program(commands / "activate", f"PATH={commands}:$PATH\n")

    def begin(arguments: list[str], **programs: str) -> subprocess.Popen[str]:
        for name, text in programs.items():
            write_program(commands / name, text)
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "EVOMERGE_VENV": str(tmp_path / "venv"),
            "EVOMERGE_JOIN_S": str(PATIENCE_S),
            "NOTES": str(tmp_path),
            "BASH_ENV": str(commands / "delays"),  # what bash reads first, if it is there
            "SLURM_JOB_ID": str(os.getpid()),
            "SLURM_JOB_NODELIST": "node-[a-b]",
        }
        process = subprocess.Popen(
            ["bash", str(SCRIPT), *arguments],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        begun.append(process)
        return process

    yield begin
    for process in begun:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def noted(tmp_path: Path, name: str) -> str:
    path = tmp_path / name
    return path.read_text().strip() if path.exists() else ""


@pytest.mark.process
def test_a_new_study_is_searched_and_one_that_is_there_goes_on(
    begin: Begin, tmp_path: Path
) -> None:
    others = {"ray": SLEEPING_RAY, "python": "#!/bin/sh\necho 1\n"}
    job = begin(["job.yaml", "runs/first"], evomerge=NOTING.format(then="exit 2"), **others)
    assert job.wait(PATIENCE_S) == 2
    assert noted(tmp_path, "search") == "search job.yaml --out runs/first"
    (tmp_path / "runs" / "first").mkdir(parents=True)
    job = begin(["job.yaml", "runs/first"], evomerge=NOTING.format(then="exit 0"), **others)
    assert job.wait(PATIENCE_S) == 0
    assert noted(tmp_path, "search") == "resume runs/first"
    assert not noted(tmp_path, "requeued")


@pytest.mark.process
def test_a_search_that_ends_before_it_is_waited_for_says_how_it_ended(begin: Begin) -> None:
    """The script is held up between beginning the search and looking after it."""
    others = {"ray": SLEEPING_RAY, "python": "#!/bin/sh\necho 1\n"}
    held_up = "trap '[[ $BASH_COMMAND != search=* ]] || sleep 0.5' DEBUG\n"
    ending = "#!/bin/sh\nexit 2\n"
    job = begin(["job.yaml", "runs/first"], evomerge=ending, delays=held_up, **others)
    assert job.wait(PATIENCE_S) == 2


@pytest.mark.process
def test_when_the_time_is_over_the_search_ends_cleanly_and_is_queued_again(
    begin: Begin, tmp_path: Path
) -> None:
    """It takes a while to end, in which the script waits for it."""
    then = "trap 'kill $!; sleep 0.3; echo closed > \"$NOTES/closed\"; exit 143' TERM"
    then += "; sleep 600 & wait"
    others = {"ray": SLEEPING_RAY, "python": "#!/bin/sh\necho 1\n"}
    job = begin(["job.yaml", "runs/first"], evomerge=NOTING.format(then=then), **others)
    until(lambda: bool(noted(tmp_path, "search")))
    os.kill(job.pid, signal.SIGTERM)
    assert job.wait(PATIENCE_S) == 143
    assert noted(tmp_path, "closed") == "closed"
    assert noted(tmp_path, "requeued") == str(os.getpid())


@pytest.mark.process
def test_a_ray_that_does_not_start_ends_the_job(begin: Begin, tmp_path: Path) -> None:
    waiting = "#!/bin/sh\n[ $# -gt 2 ] && exec sleep 600\necho 1\n"
    job = begin(["job.yaml", "runs/first"], ray="#!/bin/sh\nexit 7\n", python=waiting)
    assert job.wait(PATIENCE_S) == 1
    assert job.stderr is not None
    assert "evomerge.sbatch: Ray has ended on a node; its logs are in" in job.stderr.read()
    assert not noted(tmp_path, "search")


@pytest.mark.process
def test_arguments_are_asked_for(begin: Begin) -> None:
    job = begin(["job.yaml"])
    assert job.wait(PATIENCE_S) == 2
    assert job.stderr is not None
    assert "usage: sbatch evomerge.sbatch JOB STUDY" in job.stderr.read()


@pytest.mark.ray
@pytest.mark.slow
def test_head_and_node_are_started_and_ended(begin: Begin, tmp_path: Path) -> None:
    """A real Ray of two nodes, which the driver finds by the address that it is given."""
    programs = Path(sys.executable).parent
    real = {name: f'#!/bin/sh\nexec {programs / name} "$@"\n' for name in ("ray", "python")}
    script = tmp_path / "nodes.py"
    script.write_text(NODES_OF_RAY)
    job = begin(
        ["job.yaml", "runs/first"],
        evomerge=f'#!/bin/sh\nexec {sys.executable} {script} > "$NOTES/nodes"\n',
        **real,
    )
    output, errors = job.communicate(timeout=PATIENCE_S)
    assert job.returncode == 0, output + errors
    assert noted(tmp_path, "nodes") == "2 token 64"
    first, second, *ended = noted(tmp_path, "steps").splitlines()
    assert [step.split()[:3] for step in ended] == [[node, "rm", "-rf"] for node in NODES]
    assert not Path(ended[0].split()[3]).exists()
    assert first.startswith("node-a ray start --block")
    assert second.startswith("node-b ray start --block")
    assert "--dashboard-host=127.0.0.1" in first
    port = int(first.partition("--port=")[2].split()[0])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "the head is still there"
