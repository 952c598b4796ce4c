"""The task for SkyPilot, as its own schema has it, and the programs in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.places.files import faults, fixture, read, write_program

FILE = "skypilot/task.yaml"
SHELLCHECK = Path(sys.executable).with_name("shellcheck")


def test_it_is_what_skypilot_defines() -> None:
    assert faults(read(FILE), fixture("skypilot")) == []


def test_skypilot_refuses_what_is_misspelt() -> None:
    task = read(FILE)
    task["num_node"] = task.pop("num_nodes")
    task["resources"]["accelerator"] = task["resources"].pop("accelerators")
    assert len(faults(task, fixture("skypilot"))) == 2


def test_what_is_secret_comes_from_the_command_line() -> None:
    task = read(FILE)
    assert set(task["secrets"].values()) == {None}
    assert task["secrets"].keys().isdisjoint(task["envs"])


@pytest.mark.process
@pytest.mark.parametrize("program", ["setup", "run"])
def test_its_programs_are_sound(program: str) -> None:
    checked = subprocess.run(
        [SHELLCHECK, "--shell=bash", "--exclude=SC1090,SC1091", "-"],
        input=read(FILE)[program],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout


RESUMED_WITH = """#!/usr/bin/env bash
echo "$* at $RAY_ADDRESS" >> {notes}
if [[ $1 == resume ]]; then exit {code}; fi
"""


@pytest.mark.process
@pytest.mark.parametrize(("code", "then"), [(0, []), (2, ["search"]), (1, [])])
def test_the_first_node_goes_on_or_begins(code: int, then: list[str], tmp_path: Path) -> None:
    notes, programs = tmp_path / "notes", tmp_path / "evomerge" / "bin"
    write_program(programs / "activate", f"PATH={programs}:$PATH\n")
    write_program(programs / "ray", f'#!/bin/sh\necho "ray $*" >> {notes}\n')
    write_program(programs / "evomerge", RESUMED_WITH.format(notes=notes, code=code))
    ended = subprocess.run(
        ["bash", "-c", read(FILE)["run"]],
        env={
            "HOME": str(tmp_path),
            "PATH": "/usr/bin:/bin",
            "JOB": "job.yaml",
            "SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2",
            "SKYPILOT_NODE_RANK": "0",
        },
    )
    started, *told = notes.read_text().splitlines()
    assert started.startswith("ray start --head --node-ip-address=10.0.0.1 --port=6379")
    assert told == [f"{verb} job.yaml at 10.0.0.1:6379" for verb in ["resume", *then]]
    assert ended.returncode == (1 if code == 1 else 0)
