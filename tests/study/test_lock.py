from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from evomerge.errors import UserError
from evomerge.study.lock import Writer, WriterLock, writer_of

HOLD = """
import os, signal, sys
from pathlib import Path
from evomerge.study.lock import WriterLock
lock = WriterLock(Path(sys.argv[1]))
if "fork" not in sys.argv or os.fork() == 0:
    print(os.getpid(), flush=True)
signal.pause()
"""


def hold(path: Path, *options: str) -> tuple[subprocess.Popen[str], int]:
    """A process that holds the lock, and the id of the child that it forked (else its own)."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), *options], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


@pytest.mark.process
def test_a_second_writer_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "writer.lock"
    holder, _ = hold(path)
    try:
        with pytest.raises(UserError, match=f"written by process {holder.pid} on "):
            WriterLock(path)
    finally:
        end(holder)
    WriterLock(path).release()


def test_a_second_lock_of_the_same_process_is_refused(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path / "writer.lock")
    with pytest.raises(UserError, match=f"process {os.getpid()} "):
        WriterLock(tmp_path / "writer.lock")
    lock.release()
    lock.release()
    WriterLock(tmp_path / "writer.lock").release()


@pytest.mark.process
def test_a_forked_child_does_not_keep_the_lock_of_a_killed_parent(tmp_path: Path) -> None:
    path = tmp_path / "writer.lock"
    holder, child = hold(path, "fork")
    end(holder)
    try:
        os.kill(child, 0)  # it lives
        lock = WriterLock(path)
        assert f"process {os.getpid()} " in path.read_text()
        lock.release()
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_missing_folder_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        WriterLock(tmp_path / "missing" / "writer.lock")


def test_who_writes_is_known_without_a_touch(tmp_path: Path) -> None:
    path = tmp_path / "writer.lock"
    assert writer_of(path) == Writer("nobody", False)
    lock = WriterLock(path)
    assert writer_of(path) == Writer(f"process {os.getpid()} on {socket.gethostname()}", True)
    lock.release()
    assert not writer_of(path).is_writing
    path.write_text("process 12 on another-machine")
    assert writer_of(path) == Writer("process 12 on another-machine", True)
