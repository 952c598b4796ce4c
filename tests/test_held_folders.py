"""Folders of one process: which of them were left, and which nobody may touch."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evomerge.held_folders import HeldFolder, is_gone, left, sweep, writer_name

MADE = """
import os, sys, pathlib
from evomerge.held_folders import HeldFolder
held = HeldFolder(pathlib.Path(sys.argv[1]), "one")
(held.path / "file").write_bytes(b"x")
print(held.path, flush=True)
sys.stdin.read()
os.kill(os.getpid(), 9)
"""


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def renamed(path: Path, **parts: str) -> Path:
    """The folder under the name of another writer: `host`, `boot`, `pids`, `pid`."""
    found = re.fullmatch(
        r"(?P<name>.*)\.(?P<host>[^.]+)-(?P<boot>\w+)-(?P<pids>\w+)-(?P<pid>\d+)\.(?P<token>\w+)",
        path.name,
    )
    assert found is not None
    told = found.groupdict() | parts
    return path.rename(path.with_name("{name}.{host}-{boot}-{pids}-{pid}.{token}".format_map(told)))


@pytest.fixture
def dead(tmp_path: Path) -> Path:
    """A folder of a process that was killed."""
    ended = subprocess.run(
        [sys.executable, "-c", MADE, str(tmp_path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == -9
    return Path(ended.stdout.strip())


@pytest.mark.process
def test_what_a_killed_process_left_is_swept_and_a_living_ones_is_not(tmp_path: Path) -> None:
    own = HeldFolder(tmp_path, "own")
    other = subprocess.Popen(
        [sys.executable, "-c", MADE, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    made = Path(other.stdout.readline().strip())
    sweep(tmp_path)
    assert set(names(tmp_path)) == {own.path.name, made.name}
    other.communicate()
    sweep(tmp_path)
    assert names(tmp_path) == [own.path.name]
    own.release()
    sweep(tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "parts", [{"pid": "1"}, {"pids": "1", "pid": "4000000"}, {"host": "other-name"}], ids=str
)
@pytest.mark.process
def test_a_lock_is_believed_and_not_a_number(
    dead: Path, tmp_path: Path, parts: dict[str, str]
) -> None:
    """Another process has the number by now, or it is one of another container of this machine."""
    dead = renamed(dead, **parts)
    living = renamed(HeldFolder(tmp_path, "own").path, **parts)
    sweep(tmp_path)
    assert names(tmp_path) == [living.name]
    assert not dead.exists()


@pytest.mark.process
def test_before_a_new_start_it_is_swept_where_nothing_has_changed_since(
    dead: Path, tmp_path: Path
) -> None:
    dead = renamed(dead, boot="0123abcd")
    sweep(tmp_path)
    assert dead.exists(), "another machine of this name may be writing in it"
    started = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    os.utime(dead, (started - 60, started - 60))
    elsewhere = renamed(HeldFolder(tmp_path, "own").path, boot="0123abcd", host="elsewhere")
    os.utime(elsewhere, (started - 60, started - 60))
    sweep(tmp_path)
    assert names(tmp_path) == [elsewhere.name]


@pytest.mark.process
def test_a_link_or_a_file_of_such_a_name_stays(dead: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("")
    link = dead.rename(tmp_path / "moved").with_name(dead.name)
    link.symlink_to(kept)
    file = link.with_name(f"{link.name[:-1]}{'0' if link.name[-1] != '0' else '1'}")
    file.write_text("")
    sweep(tmp_path)
    assert (kept / "file").exists()
    assert link.is_symlink()
    assert file.exists()


@pytest.mark.process
def test_what_belongs_to_another_user_stays(dead: Path, tmp_path: Path) -> None:
    try:
        os.chown(dead, 12345, -1)
    except PermissionError:
        pytest.skip("only root can give a folder away")
    sweep(tmp_path)
    assert dead.exists()


def test_a_forked_child_neither_holds_nor_removes(tmp_path: Path) -> None:
    held = HeldFolder(tmp_path, "own")
    begun, begins = os.pipe()
    done, ends = os.pipe()
    child = os.fork()
    if not child:
        os.close(ends)
        os.write(begins, b"x")
        os.read(done, 1)
        held.remove()
        os._exit(0)
    os.read(begun, 1)
    held.release()
    with left(held.path) as is_left:
        pass
    for descriptor in (begun, begins, done, ends):
        os.close(descriptor)
    os.waitpid(child, 0)
    assert held.path.exists()
    assert is_left, "the child holds the lock"


def test_two_names_are_never_the_same() -> None:
    assert writer_name() != writer_name()


def test_whether_a_process_is_gone(tmp_path: Path) -> None:
    own = writer_name()
    assert not is_gone(own)
    assert not is_gone("no-name.of.a.writer")
    machine, pids, _ = own.rsplit("-", 2)
    assert is_gone(f"{machine}-{pids}-4194305.01234567")
    assert not is_gone(f"{machine}-1-4194305.01234567"), "in another container, who knows?"
    assert not is_gone(f"x{machine}-{pids}-4194305.01234567")
