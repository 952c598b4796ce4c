"""What an open study holds is given back, whatever goes wrong at its opening or its closing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from optuna.exceptions import StorageInternalError

from evomerge.errors import RecordError
from evomerge.study.lease import WRITER
from evomerge.study.record import Study
from tests.study.elsewhere import ask, make


def made(place: Path) -> Study:
    return make(place / "study", f"sqlite:///{place}/study.db", f"file://{place}/kept")


def execute(place: Path, statement: str) -> list[tuple[str]]:
    connection = sqlite3.connect(place / "study.db")
    try:
        with connection:
            return connection.execute(statement).fetchall()
    finally:
        connection.close()


def holders(place: Path) -> int:
    """How many the database names as the one that writes."""
    key = f"key = '{WRITER}'"
    return len(execute(place, f"SELECT key FROM study_system_attributes WHERE {key}"))


def test_who_cannot_read_the_record_does_not_go_on_holding_it(tmp_path: Path) -> None:
    with made(tmp_path) as study:
        ask(study)
        assert holders(tmp_path) == 1
    later = "UPDATE trial_user_attributes SET value_json = '7' WHERE key = 'asked'"
    execute(tmp_path, later)
    for _ in range(2):  # the second one hears the same, and not that another process writes
        with pytest.raises(RecordError, match="should go on with number 0"):
            Study.open(tmp_path / "study", write=True)
        assert holders(tmp_path) == 0


def test_a_study_whose_time_cannot_be_noted_is_let_go_all_the_same(tmp_path: Path) -> None:
    study = made(tmp_path)
    execute(
        tmp_path,
        "CREATE TRIGGER refuse BEFORE INSERT ON study_system_attributes"
        " WHEN NEW.key = 'evomerge:seconds_spent' BEGIN SELECT 1 FROM nowhere; END",
    )
    with pytest.raises(StorageInternalError):
        study.close()
    assert holders(tmp_path) == 0
    study.close()
    with Study.open(tmp_path / "study", write=False) as study:
        assert not study.writer.is_writing
