"""Temporary folders: for this user only, and swept after a kill."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from evomerge.temporary import temporary_folder

KILLED = """
import os
from evomerge.temporary import temporary_folder
with temporary_folder("tried") as folder:
    (folder / "file").write_bytes(b"x")
    os.kill(os.getpid(), 9)
"""


@pytest.mark.process
def test_the_next_process_removes_what_a_kill_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    own = tmp_path / "evomerge-notes"
    own.mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", KILLED], env=environment, check=False)
    assert len(list(tmp_path.iterdir())) == 2
    with temporary_folder("other") as folder:
        assert sorted(tmp_path.iterdir()) == sorted([own, folder])
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        with temporary_folder("another"):
            assert folder.exists()
    assert list(tmp_path.iterdir()) == [own]
