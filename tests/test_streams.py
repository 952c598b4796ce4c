"""Readers that leave: what a command writes then goes nowhere, and it ends well."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

RUN = "import sys; from evomerge.commands.main import main; sys.argv[1:] = ['catalog']; main()"


@pytest.mark.process
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_has_left_is_no_error(stream: str) -> None:
    code = RUN if stream == "stdout" else RUN.replace("'catalog'", "'no-such-command'")
    reader, writer = os.pipe()
    os.close(reader)
    other = "stderr" if stream == "stdout" else "stdout"
    streams = {stream: writer, other: subprocess.PIPE}
    ended = subprocess.run([sys.executable, "-c", code], check=False, **streams)  # type: ignore[call-overload]
    os.close(writer)
    assert ended.returncode == (0 if stream == "stdout" else 2)
    assert (ended.stdout or ended.stderr or b"") == b""


@pytest.mark.process
def test_a_simulation_outlives_its_reader_too() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "evomerge.simulation", "--seed", "3", "--trace"]
    ended = subprocess.run(command, check=False, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.process
def test_what_is_read_is_all_there() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", RUN], check=False, capture_output=True, text=True, encoding="utf-8"
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "ties" in ended.stdout


@pytest.mark.process
def test_no_stdout_at_all_is_no_error() -> None:
    command = f'exec "{sys.executable}" -c "$0" >&-'
    ended = subprocess.run(["sh", "-c", command, RUN], check=False, stderr=subprocess.PIPE)
    assert (ended.returncode, ended.stderr) == (0, b"")
