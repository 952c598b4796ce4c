"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from evomerge.errors import UserError
from evomerge.held_folders import HeldFolder
from evomerge.publish import PARTIAL, is_free, sweep_partial, whole_file, whole_folder, write_whole


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


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


KILLED = """
import os, sys, pathlib
from evomerge import publish
with getattr(publish, sys.argv[1])(pathlib.Path(sys.argv[2])) as place:
    (place / "config.json" if place.is_dir() else place).write_bytes(b"{}")
    os.kill(os.getpid(), 9)
"""


def left_in(folder: Path, name: str) -> Path:
    """What a writer that is no more has left."""
    held = HeldFolder(folder, name, PARTIAL)
    held.release()
    return held.path


def test_a_list_of_moves_from_somebody_else_reaches_nothing_outside(tmp_path: Path) -> None:
    """What an earlier writer had moved is undone where it lies, whatever its list names."""
    out = tmp_path / "outer" / "out"
    out.mkdir(parents=True)
    (tmp_path / "outer" / "mine").write_text("mine")
    (out / "kept").write_text("x")
    everything = ["..", ".", "", "../mine", "/", str(tmp_path / "outer" / "mine"), 3, None]
    for content in (json.dumps(everything), "3", "{", '{"..": 1}'):
        (left_in(out, ".moved") / "names.json").write_text(content)
        assert not is_free(out)
        assert names(tmp_path / "outer") == ["mine", "out"]
        assert names(out) == ["kept"]
    (left_in(out, ".moved") / "names.json").symlink_to(tmp_path / "outer" / "mine")
    assert not is_free(out)
    os.mkfifo(left_in(out, ".moved") / "names.json")
    assert not is_free(out)
    (left_in(out, ".moved") / "names.json").mkdir()
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
    with whole_folder(tmp_path / name):
        living = names(tmp_path)
        with whole_folder(tmp_path / "other"):
            pass
        assert names(tmp_path) == sorted([*living, "other"])
    assert names(tmp_path) == sorted([name, "other"])


@pytest.mark.process
@pytest.mark.parametrize("killed", ["whole_file", "whole_folder"])
@pytest.mark.parametrize("following", [whole_file, whole_folder])
@pytest.mark.parametrize("name", ["out", "other"])
def test_what_a_killed_writer_left_is_taken_for_nothing_and_swept_by_the_next(
    killed: str,
    following: Callable[[Path], AbstractContextManager[Path]],
    name: str,
    tmp_path: Path,
) -> None:
    arguments = [sys.executable, "-c", KILLED, killed, str(tmp_path / "out")]
    assert subprocess.run(arguments, check=False).returncode == -9
    (half,) = tmp_path.iterdir()
    assert re.fullmatch(rf"\.out\..+\.{PARTIAL[1:]}", half.name)
    with following(tmp_path / name) as place:
        assert not half.exists()
        if not place.is_dir():
            place.write_bytes(b"x")
    assert names(tmp_path) == [name]


@pytest.mark.process
def test_a_hot_folder_is_not_looked_through_at_each_write(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", KILLED, "whole_file", str(tmp_path / "out")]
    subprocess.run(arguments, check=False)
    (half,) = tmp_path.iterdir()
    write_whole(tmp_path / "one", b"", sweeps=False)
    assert half.exists()
    sweep_partial(tmp_path)
    assert names(tmp_path) == ["one"]


INTERRUPTED = """
import sys, pathlib
from evomerge.publish import whole_folder
out = pathlib.Path(sys.argv[1])
def interrupt(event, arguments):
    if event == "os.rename" and str(arguments[1]) == str(out / "b"):
        raise KeyboardInterrupt
with whole_folder(out, last="b") as folder:
    for name in "ab":
        (folder / name).write_bytes(b"x")
    sys.addaudithook(interrupt)
"""


@pytest.mark.process
def test_an_interrupted_move_into_a_folder_that_is_there_leaves_it_empty(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    arguments = [sys.executable, "-c", INTERRUPTED, str(out)]
    ended = subprocess.run(arguments, check=False, capture_output=True, text=True)
    assert "KeyboardInterrupt" in ended.stderr
    assert names(tmp_path) == ["out"]
    assert names(out) == []


@pytest.mark.process
def test_a_killed_move_is_undone_by_the_next_and_not_while_it_lives(
    tmp_path: Path,
) -> None:
    code = (
        "import json, os, sys, pathlib; from evomerge.held_folders import HeldFolder\n"
        "out = pathlib.Path(sys.argv[1])\n"
        "moving = HeldFolder(out, '.moved', '.partial')\n"
        "(moving.path / 'names.json').write_text(json.dumps(['a', 'b']))\n"
        "(out / 'a').write_bytes(b'x')\n"
        "print(flush=True); sys.stdin.read(); os.kill(os.getpid(), 9)"
    )
    out = tmp_path / "out"
    out.mkdir()
    moving = subprocess.Popen(
        [sys.executable, "-c", code, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert moving.stdout is not None
    moving.stdout.readline()
    assert not is_free(out)
    assert (out / "a").exists()
    moving.communicate()
    assert is_free(out)
    assert names(out) == []
