"""Files elsewhere: whole or not at all, waited for, and refused in a sentence."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from evomerge.errors import InfrastructureError, RecordError, UserError
from evomerge.study.artifacts import ArtifactFolder
from tests.study.elsewhere import Awkward, register


@pytest.fixture(params=["file", "awkward"])
def protocol(request: pytest.FixtureRequest) -> Iterator[str]:
    register()
    Awkward.reset()
    yield request.param
    Awkward.reset()


def place(protocol: str, folder: Path, waited_s: float = 60.0) -> ArtifactFolder:
    return ArtifactFolder(f"{protocol}://{folder}/one", waited_s=waited_s, pause_s=0.0)


def test_what_is_put_is_there_until_it_is_removed(protocol: str, tmp_path: Path) -> None:
    files = place(protocol, tmp_path)
    assert files.get("study.json") is None
    assert files.names("examples") == {}
    files.try_to_write()
    files.put("examples/b", b"1")
    files.put("examples/a", b"22")
    files.put("examples/a", b"333")
    assert files.names("examples") == {"a": 3, "b": 1}
    assert files.names() == {}
    assert files.get("examples/a") == b"333"
    assert dict(files.get_all(["examples/a", "examples/b", "examples/gone"])) == {
        "examples/a": b"333",
        "examples/b": b"1",
    }
    files.remove("examples/a")
    files.remove("examples/a")
    assert [path.name for path in tmp_path.rglob("*")] == ["one", "examples", "b"]


def test_more_than_fits_is_refused(protocol: str, tmp_path: Path) -> None:
    files = place(protocol, tmp_path)
    files.put("a", b"12345")
    with pytest.raises(RecordError, match="/a: has more than"):
        files.get("a", most=4)


@pytest.mark.parametrize("protocol", ["awkward"], indirect=True)
def test_a_place_that_was_there_is_waited_for(
    protocol: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = place(protocol, tmp_path)
    files.put("a", b"old")
    Awkward.down = 3
    with caplog.at_level(logging.WARNING, "evomerge"):
        files.put("a", b"the new one")
    assert files.get("a") == b"the new one"
    assert "cannot be written (https://host/x?***" in caplog.text
    assert "answer again" in caplog.text


@pytest.mark.parametrize("protocol", ["awkward"], indirect=True)
def test_half_of_a_file_is_never_seen_and_swept(protocol: str, tmp_path: Path) -> None:
    files = place(protocol, tmp_path, waited_s=-1.0)
    files.put("examples/a", b"old")
    Awkward.down = 1
    with pytest.raises(InfrastructureError, match="`evomerge resume` goes on"):
        files.put("examples/a", b"the new one")
    assert len(list((tmp_path / "one" / "examples").iterdir())) == 2
    assert files.get("examples/a") == b"old"
    assert files.names("examples") == {"a": 3}
    files.sweep()
    assert [path.name for path in (tmp_path / "one" / "examples").iterdir()] == ["a"]


@pytest.mark.parametrize("protocol", ["awkward"], indirect=True)
def test_a_place_that_never_answered_is_the_users_error(protocol: str, tmp_path: Path) -> None:
    Awkward.down = 1
    with pytest.raises(UserError, match="cannot be read") as caught:
        place(protocol, tmp_path).get("a")
    assert "Signature" not in str(caught.value)


@pytest.mark.parametrize("protocol", ["awkward"], indirect=True)
def test_what_no_waiting_mends_is_said_at_once(protocol: str, tmp_path: Path) -> None:
    files = place(protocol, tmp_path)
    files.put("a", b"")
    Awkward.refuses = PermissionError(13, "Access Denied")
    with pytest.raises(InfrastructureError, match=r"cannot be written \(Access Denied\)"):
        files.put("a", b"")


@pytest.mark.parametrize("protocol", ["awkward"], indirect=True)
def test_a_place_that_is_read_and_not_written(protocol: str, tmp_path: Path) -> None:
    """As http is, and a bucket without the right to write."""
    files = place(protocol, tmp_path)
    assert files.get("a") is None
    Awkward.refuses = NotImplementedError()
    with pytest.raises(UserError, match=r"cannot be written \(NotImplementedError\)"):
        files.try_to_write()


@pytest.mark.parametrize("protocol", ["awkward"], indirect=True)
def test_once_given_up_nothing_is_waited_for(protocol: str, tmp_path: Path) -> None:
    """What is still to be written when a search ends is asked once."""
    files = place(protocol, tmp_path, waited_s=0.02)
    files.put("a", b"")
    Awkward.down = 1_000_000
    with pytest.raises(InfrastructureError, match="no route"):
        files.put("a", b"")
    Awkward.calls.clear()
    with pytest.raises(InfrastructureError, match="no route"):
        files.put("a", b"")
    assert len(Awkward.calls) == 1
    Awkward.down = 0
    files.put("a", b"1")
    assert files.get("a") == b"1"


@pytest.mark.parametrize("protocol", ["file"], indirect=True)
def test_what_a_dead_machine_began_is_swept(protocol: str, tmp_path: Path) -> None:
    files = place(protocol, tmp_path)
    files.put("examples/a", b"")
    (tmp_path / "one" / "examples" / ".b.host-00000000-0-1.00000000.partial").mkdir()
    files.sweep()
    assert [path.name for path in (tmp_path / "one" / "examples").iterdir()] == ["a"]


@pytest.mark.parametrize("protocol", ["file"], indirect=True)
def test_a_folder_that_cannot_be_written(protocol: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        place(protocol, tmp_path / "file").try_to_write()


@pytest.mark.parametrize("protocol", ["file"], indirect=True)
def test_a_place_on_record_has_to_be_named(protocol: str, tmp_path: Path) -> None:
    files = ArtifactFolder(f"file://{tmp_path}/somebodys", is_recorded=True)
    with pytest.raises(UserError, match="set EVOMERGE_ARTIFACTS"):
        files.get("a")
