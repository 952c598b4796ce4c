from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from evomerge.errors import UserError
from evomerge.study.database import check_database
from evomerge.study.database_url import name_database
from evomerge.study.folder import Identity
from evomerge.study.record import Study
from evomerge.study.storage import create_trials


def used(folder: Path) -> str:
    """A database with one study."""
    url = f"sqlite:///{folder}/studies.db"
    name_database(url)
    identity = Identity(name="small", storage=url, objectives=("fitness",), genes=())
    create_trials(identity, folder / "journal.log")
    return url


def test_a_database_that_is_made_later_is_not_made_now(tmp_path: Path) -> None:
    check_database(f"sqlite:///{tmp_path}/studies.db", "small")
    assert list(tmp_path.iterdir()) == []


def test_a_database_stays_as_it_is(tmp_path: Path) -> None:
    url = used(tmp_path)
    before = (tmp_path / "studies.db").read_bytes()
    check_database(url, "other")
    check_database(url)
    assert (tmp_path / "studies.db").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["studies.db"]


def refused(url: str, name: str = "small") -> str:
    with pytest.raises(UserError) as caught:
        check_database(url, name)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    return str(caught.value)


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    assert refused(used(tmp_path)).endswith(
        "holds a study called 'small' already; give the job another name"
    )


def test_a_database_that_may_only_be_read(tmp_path: Path) -> None:
    used(tmp_path)
    url = f"sqlite:///file:{tmp_path}/studies.db?mode=ro&uri=true"
    assert "cannot be used (attempt to write a readonly database)" in refused(url, "other")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("a letter, " * 99)
    said = refused(f"sqlite:///{tmp_path}/x.db")
    assert said.endswith("x.db: cannot be used (file is not a database)")


def test_a_database_that_another_process_writes_all_the_time(tmp_path: Path) -> None:
    url = used(tmp_path) + "?timeout=0"
    with sqlite3.connect(tmp_path / "studies.db") as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "cannot be used (database is locked)" in refused(url, "other")
    other.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("studies.db", "is not the URL of a database that can be used; write one as"),
        ("redis://host", "is not the URL of a database that can be used; write one as"),
        ("mysql://me:secret@host/x", "its driver MySQLdb is not installed; `pip install 'mysqlcl"),
        ("postgresql+pg8000://host/x", "driver pg8000 is not installed; `pip install 'pg8000'`"),
        ("sqlite:///:memory:", "a database in memory is gone with the process"),
        ("sqlite:////no/such/folder/x.db", "there is no folder /no/such/folder"),
    ],
)
def test_what_cannot_be_reached(url: str, said: str) -> None:
    assert said in refused(url)


def test_a_database_that_another_process_holds_is_a_sentence(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}?timeout=0.01"
    Study.create(tmp_path / "first", name="first", job={}, genes=(), storage_url=url).close()
    with closing(sqlite3.connect(tmp_path / "studies.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UserError, match=r"cannot be written .*database is locked"):
            Study.create(tmp_path / "second", name="second", job={}, genes=(), storage_url=url)
    assert not (tmp_path / "second").exists()
