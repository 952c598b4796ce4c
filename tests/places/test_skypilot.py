"""The task for SkyPilot, as its own schema has it, and the programs in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.places.files import faults, fixture, read

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
