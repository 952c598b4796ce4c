"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from evomerge.errors import UserError
from evomerge.publish import PARTIAL, sweep, whole_file, whole_folder, write_whole


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def dead_process() -> int:
    """The number of a process that was there."""
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(ended.stdout)


def test_replaces_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old and longer")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["file"]


def test_a_failed_write_leaves_no_trace(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(in_the_way, b"new")
    assert names(tmp_path) == ["file"]


def test_a_file_is_not_there_before_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def half() -> None:
        with whole_file(path) as partial:
            partial.write_bytes(b"half")
            assert path.read_bytes() == b"old"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_folder_is_not_there_before_the_block_ends(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with whole_folder(out) as folder:
        (folder / "file").write_bytes(b"x")
        assert not out.exists()
    assert names(tmp_path / "deep") == ["out"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(out.stat().st_mode) == 0o777 & ~mask

    def half() -> None:
        with whole_folder(tmp_path / "other") as folder:
            (folder / "file").write_bytes(b"x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert names(tmp_path) == ["deep"]


def test_an_empty_folder_is_filled_and_stays_the_one_it_is(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    before = out.stat().st_ino
    with whole_folder(out, last="a") as folder:
        for name in ("a", "b"):
            (folder / name).write_bytes(b"x")
    assert out.stat().st_ino == before
    assert names(out) == ["a", "b"]
    with pytest.raises(UserError, match="exists already"), whole_folder(out):
        raise AssertionError("nothing may be begun")


@pytest.mark.process
def test_what_dead_writers_left_is_removed(tmp_path: Path) -> None:
    host, dead = socket.gethostname().replace(".", "_"), dead_process()
    kept = {
        f".out.{host}-{os.getpid()}.00{PARTIAL}",
        f".out.elsewhere-{dead}.00{PARTIAL}",
        f".other.{host}-{dead}.00{PARTIAL}",
    }
    for name in {*kept, f".out.{host}-{dead}.00{PARTIAL}"}:
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").write_bytes(b"x")
    with whole_folder(tmp_path / "out"):
        pass
    assert set(names(tmp_path)) == kept | {"out"}
    (tmp_path / f".f.{host}-{dead}.00{PARTIAL}").write_bytes(b"x")
    sweep(tmp_path)
    assert set(names(tmp_path)) == kept - {f".other.{host}-{dead}.00{PARTIAL}"} | {"out"}


@pytest.mark.process
def test_a_writer_that_is_killed_leaves_nothing_to_be_taken_for_whole(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from evomerge.publish import whole_folder\n"
        "with whole_folder(pathlib.Path(sys.argv[1])) as folder:\n"
        "    (folder / 'config.json').write_bytes(b'{}')\n"
        "    os.kill(os.getpid(), 9)"
    )
    out = tmp_path / "out"
    ended = subprocess.run([sys.executable, "-c", code, str(out)], check=False)
    assert ended.returncode == -9
    assert not out.exists()
    assert len(names(tmp_path)) == 1
    with whole_folder(out):
        pass
    assert names(tmp_path) == ["out"]
