"""Who writes, by the database: one at a time, and the next one once the first has fallen silent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from sqlalchemy import text

from evomerge.errors import RecordError, UserError
from evomerge.study.lease import WRITER, Lease

NEVER_S = 3600.0
"""No beat within the test, but those that are asked for."""


class Database:
    """A study's row."""

    def __init__(self, file: Path) -> None:
        self.storage = RDBStorage(f"sqlite:///{file}")
        self.study = self.storage.create_new_study([StudyDirection.MAXIMIZE], "a")

    def lease(self, silent_s: float = 60.0) -> Lease:
        return Lease(self.again(), self.study, "the study", beat_s=NEVER_S, silent_s=silent_s)

    def again(self) -> RDBStorage:
        """With connections of its own, as another machine has them."""
        return RDBStorage(str(self.storage.engine.url), skip_table_creation=True)

    def name(self) -> str:
        """Of the process that writes."""
        writer = self.writer()
        assert writer is not None
        return str(writer["name"])

    def writer(self) -> dict[str, object] | None:
        writer: dict[str, object] | None = self.storage.get_study_system_attrs(self.study).get(
            WRITER
        )
        return writer

    def set(self, **changes: object) -> None:
        """What another process has written."""
        there = self.writer()
        assert there is not None
        with self.storage.engine.begin() as connection:
            connection.execute(
                text("UPDATE study_system_attributes SET value_json = :v WHERE key = :k"),
                {"v": json.dumps({**there, **changes}), "k": WRITER},
            )


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "study.db")


def test_one_at_a_time(database: Database) -> None:
    first = database.lease()
    with pytest.raises(UserError, match=r"is being written by process \d+ on .*; stop that"):
        database.lease()
    first.check()
    first.release()
    first.release()
    assert database.writer() is None
    database.lease().release()


def test_a_silent_writer_is_followed_and_writes_no_more(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    first = database.lease(silent_s=0.0)  # which looks before each write
    first.check()
    second = database.lease(silent_s=0.0)
    assert "taken over from process" in caplog.text
    with pytest.raises(RecordError, match=r"is written by process .* now"):
        first.check()
    first.release()
    assert database.writer() is not None
    second.release()


def test_a_writer_that_was_taken_over_cannot_use_its_connection(database: Database) -> None:
    storage = database.again()
    Lease(storage, database.study, "the study", beat_s=NEVER_S, silent_s=0.0)
    storage.set_study_user_attr(database.study, "before", 1)
    database.set(name="vm-00000000-0-1.00000000", said="process 1 on elsewhere")
    with pytest.raises(RecordError, match="by process 1 on elsewhere now"):
        storage.set_study_user_attr(database.study, "after", 2)
    assert database.storage.get_study_user_attrs(database.study) == {"before": 1}


def test_a_writer_of_this_machine_that_is_no_more_is_followed_at_once(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    database.lease()
    head, _, token = database.name().rpartition(".")
    gone = f"{head.rpartition('-')[0]}-4194999.{token}"
    database.set(name=gone, said="a process that is gone")
    second = database.lease()
    assert database.name() != gone
    assert "taken over from a process that is gone" in caplog.text
    second.release()


def test_beats_are_written_by_the_databases_clock(database: Database) -> None:
    first = Lease(database.again(), database.study, "the study", beat_s=0.01)
    name = database.name()
    database.set(at=0.0)
    while (writer := database.writer()) is None or writer["at"] == 0.0:
        pass
    assert writer["name"] == name
    first.release()


@pytest.mark.parametrize("line", ["[]", '{"name": 1}', '"x"'])
def test_a_row_that_says_nothing_is_replaced(database: Database, line: str) -> None:
    database.storage.set_study_system_attr(database.study, WRITER, json.loads(line))
    lease = database.lease()
    assert database.name()
    lease.release()
