"""Studies of earlier versions, whose files hold a password."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from evomerge.errors import UserError
from evomerge.study.guarding import guard_passwords
from evomerge.study.record import Study

URL = "postgresql://me:SECRET@host/db"


def old_study(path: Path) -> list[Path]:
    """As an earlier version made it; its files that hold the password."""
    Study.create(path, name="small", job={"storage": None}, genes=()).close()
    files = [path / "study.json", path / "job.json"]
    for file in files:
        said = json.loads(file.read_text()) | {"storage": URL}
        file.write_text(json.dumps(said))
        file.chmod(0o644)
    return files


def modes(files: list[Path]) -> list[str]:
    return [oct(file.stat().st_mode & 0o777) for file in files]


@pytest.mark.parametrize("write", [False, True])
def test_a_writer_guards_a_password_and_a_reader_warns(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, write: bool
) -> None:
    files = old_study(tmp_path / "study")
    with pytest.raises(UserError, match=r"decide what is connected to|driver for PostgreSQL"):
        Study.open(tmp_path / "study", write=write)
    assert modes(files) == ["0o600" if write else "0o644"] * 2
    for file in files:
        said = (
            "only its owner may read it now" if write else f"others may read it: chmod 600 {file}"
        )
        assert f"{file} holds a database's password" in caplog.text
        assert said in caplog.text
    assert "SECRET" not in caplog.text
    if write:
        caplog.clear()
        with pytest.raises(UserError):
            Study.open(tmp_path / "study", write=write)
        assert not caplog.text


@pytest.mark.parametrize("storage", [None, "sqlite:///x.db", "postgresql://me@host/db", "env:X", 3])
def test_a_file_without_one_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, storage: object
) -> None:
    file = tmp_path / "job.json"
    file.write_text("")
    file.chmod(0o644)
    guard_passwords({file: storage}, write=True)
    assert modes([file]) == ["0o644"]
    assert not caplog.text


@pytest.mark.parametrize("storage", ["postgresql://me:SEC@SECRET@host/db", "me:SECRET@host/db"])
def test_what_may_be_a_password_is_one(tmp_path: Path, storage: str) -> None:
    file = tmp_path / "job.json"
    file.write_text("")
    file.chmod(0o644)
    guard_passwords({file: storage}, write=True)
    assert modes([file]) == ["0o600"]


def test_a_new_study_in_a_database_is_made_as_usual(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    job = {"storage": url}
    Study.create(tmp_path / "study", name="x", job=job, genes=(), storage_url=url).close()
    usual = 0o666 & ~_umask()
    assert modes([tmp_path / "study" / "job.json"]) == [oct(usual)]


def _umask() -> int:
    before = os.umask(0o022)
    os.umask(before)
    return before
