"""Caches of one machine know how many they are, whatever becomes of their processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from evomerge.merging.node_members import NodeMember

OTHER = """
import pathlib, sys
from evomerge.merging.node_members import NodeMember
member = NodeMember(pathlib.Path(sys.argv[1]))
print(member.count(), flush=True)
sys.stdin.read()
"""


def test_every_process_counts_until_it_is_no_more(tmp_path: Path) -> None:
    own = NodeMember(tmp_path / "caches")
    assert own.count() == 1
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(tmp_path / "caches")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert other.stdout is not None
    assert int(other.stdout.readline()) == 2
    assert own.count() == 2
    other.kill()
    other.communicate()
    assert own.count() == 1
    assert len(list((tmp_path / "caches").iterdir())) == 1


def test_a_cache_that_is_collected_no_longer_counts(tmp_path: Path) -> None:
    first, second = NodeMember(tmp_path / "caches"), NodeMember(tmp_path / "caches")
    assert first.count() == second.count() == 2
    del second
    assert first.count() == 1


def test_where_nobody_can_meet_each_is_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert NodeMember(tmp_path / "file" / "caches").count() == 1


@pytest.mark.parametrize("how", ["a link", "open to all"])
def test_in_a_folder_of_somebody_else_each_is_alone(tmp_path: Path, how: str) -> None:
    """In the shared temporary directory anybody may have made it, to have files removed there."""
    theirs = tmp_path / "theirs"
    (theirs / "caches").mkdir(parents=True)
    (theirs / "caches" / "mine").write_text("mine")
    if how == "a link":
        (tmp_path / "ours").mkdir(0o700)
        (tmp_path / "ours" / "caches").symlink_to(theirs / "caches")
        folder = tmp_path / "ours" / "caches"
    else:
        theirs.chmod(0o777)
        folder = theirs / "caches"
    assert NodeMember(folder).count() == 1
    assert [path.name for path in (theirs / "caches").iterdir()] == ["mine"]
