"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from evomerge.errors import UserError
from evomerge.publish import PARTIAL, is_free, sweep, whole_file, whole_folder, write_whole


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


def test_a_list_of_moves_from_somebody_else_reaches_nothing_outside(tmp_path: Path) -> None:
    """What an earlier writer had moved is undone where it lies, whatever its list names."""
    host, dead = socket.gethostname().replace(".", "_"), dead_process()
    out = tmp_path / "outer" / "out"
    out.mkdir(parents=True)
    (tmp_path / "outer" / "mine").write_text("mine")
    (out / "kept").write_text("x")
    left = out / f".moved.{host}-{dead}.00{PARTIAL}"
    everything = ["..", ".", "", "../mine", "/", str(tmp_path / "outer" / "mine"), 3, None]
    for content in (json.dumps(everything), "3", "{", '{"..": 1}'):
        left.write_text(content)
        assert not is_free(out)
        assert names(tmp_path / "outer") == ["mine", "out"]
        assert names(out) == ["kept"]
    left.symlink_to(tmp_path / "outer" / "mine")
    assert not is_free(out)
    os.mkfifo(left)
    assert not is_free(out)
    left.mkdir()
    assert not is_free(out)
    assert names(out) == ["kept"]
    assert names(tmp_path / "outer") == ["mine", "out"]


def test_an_output_is_written_through_no_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (tmp_path / "file").symlink_to(outside)
    write_whole(tmp_path / "file", b"new")
    assert not (tmp_path / "file").is_symlink()
    (tmp_path / "folder").symlink_to(outside)
    with pytest.raises(UserError, match="exists already"), whole_folder(tmp_path / "folder"):
        pass
    assert not outside.exists()


@pytest.mark.parametrize("name", ["**", "[a-", "*", "?"])
def test_a_name_is_no_pattern(tmp_path: Path, name: str) -> None:
    left = tmp_path / f".other.{socket.gethostname().replace('.', '_')}-{dead_process()}.0{PARTIAL}"
    left.mkdir()
    with whole_folder(tmp_path / name):
        pass
    assert names(tmp_path) == sorted([left.name, name])


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
