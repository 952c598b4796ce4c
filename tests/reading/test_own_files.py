"""What belongs to a study or an output is opened where it lies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evomerge.errors import SourceError
from evomerge.reading.files import read_bytes
from evomerge.reading.own_files import open_own, own_folder


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_RDWR | os.O_APPEND])
@pytest.mark.parametrize("target", ["there", "nowhere"])
def test_a_link_is_not_followed(tmp_path: Path, flags: int, target: str) -> None:
    (tmp_path / "there").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / target)
    with pytest.raises(OSError, match="it is a link"):
        open_own(tmp_path / "link", flags)
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(SourceError, match=r"link: cannot be read \(it is a link"):
        read_bytes(tmp_path / "link", follow=False)


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY, os.O_RDWR])
def test_a_pipe_or_a_device_is_not_waited_for(tmp_path: Path, flags: int) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match=r"no regular file|No such device"):
            open_own(path, flags)


def test_a_folder_stays_the_one_that_was_opened(tmp_path: Path) -> None:
    here, theirs = tmp_path / "here", tmp_path / "theirs"
    here.mkdir()
    theirs.mkdir()
    with own_folder(here) as folder:
        here.rename(tmp_path / "moved")
        here.symlink_to(theirs)
        (folder / "file").write_text("x")
        assert [path.name for path in folder.iterdir()] == ["file"]
    assert not list(theirs.iterdir())
    assert (tmp_path / "moved" / "file").read_text() == "x"
    with pytest.raises(OSError, match="it is a link"), own_folder(here):
        pass
