"""A study is made or found, belongs to one writer, and is let go whatever goes wrong."""

from __future__ import annotations

import json
import math
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.exceptions import StorageInternalError

from evomerge.errors import RecordError, UserError
from evomerge.evaluators.base import Failure, Report
from evomerge.recipe.genome import FloatGene
from evomerge.study.lease import WRITER
from evomerge.study.record import Study
from tests.study.elsewhere import ask, make

FAILURE = Failure(cause="candidate", message="not finite")
Ask = Callable[[int], int]


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


def test_one_writer_at_a_time(study: Study, folder: Path) -> None:
    with pytest.raises(UserError, match="being written by process"):
        Study.open(folder, write=True)
    study.close()
    study.close()
    Study.open(folder, write=True).close()


def test_a_record_that_cannot_be_opened_does_not_stay_locked(study: Study, folder: Path) -> None:
    study.close()
    journal = (folder / "journal.log").rename(folder / "elsewhere")
    with pytest.raises(RecordError, match="is missing"):
        Study.open(folder, write=True)
    journal.rename(folder / "journal.log")
    Study.open(folder, write=True).close()


def test_the_job_and_the_search_space_are_kept(study: Study, folder: Path) -> None:
    with Study.open(str(folder), write=False) as reader:
        assert (reader.name, reader.job, reader.objectives) == ("small", {"seed": 7}, ("fitness",))
        assert reader.genes == study.genes
        assert reader.path == folder


def test_a_folder_with_a_study_is_refused(study: Study, folder: Path) -> None:
    with pytest.raises(UserError, match="holds another study"):
        Study.create(folder, name="other", job={}, genes=study.genes)


def test_the_clock_runs_only_while_a_writer_is_open(study: Study, folder: Path) -> None:
    time.sleep(0.05)
    study.close()
    first = study.seconds_spent
    assert first >= 0.05
    time.sleep(0.1)
    opened = time.monotonic()
    with Study.open(folder, write=True) as again:
        time.sleep(0.05)
        assert first + 0.05 <= again.seconds_spent <= first + time.monotonic() - opened + 0.001
    assert again.seconds_spent <= first + time.monotonic() - opened + 0.001


def test_the_clock_of_a_killed_writer_counts_to_its_last_record(
    study: Study, folder: Path, ask: Ask, report: Report
) -> None:
    ask(0)
    time.sleep(0.05)
    study.tell(0, report, (0.5,), worker="w1")
    with Study.open(folder, write=False) as reader:
        told_s = reader.candidates()[0].told_s
        assert told_s is not None
        assert reader.seconds_spent == told_s >= 0.05


@pytest.mark.parametrize("noted", ["/dev/stdin", math.inf, math.nan, -1.0, [], True])
def test_a_noted_time_that_is_none_is_a_sentence(study: Study, folder: Path, noted: Any) -> None:
    study.close()
    entry: dict[str, Any] = {"op_code": 3, "worker_id": "w", "study_id": 0}
    entry["system_attr"] = {"evomerge:seconds_spent": noted}
    with (folder / "journal.log").open("a") as journal:
        journal.write(json.dumps(entry) + "\n")
    with pytest.raises(RecordError, match="is no time"), Study.open(folder, write=False):
        pass


def test_a_study_that_the_database_refuses_leaves_no_folder(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    genes = [FloatGene(name="a", low=0.0, high=1.0)]
    Study.create(tmp_path / "one", name="same", job={}, genes=genes, storage_url=url).close()
    with pytest.raises(UserError, match="'same' already"):
        Study.create(tmp_path / "two", name="same", job={}, genes=genes, storage_url=url)
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize("database", [False, True])
def test_a_study_of_nothing_can_be_taken_back(tmp_path: Path, database: bool) -> None:
    url = f"sqlite:///{tmp_path}/studies.db" if database else None
    for _ in range(2):  # the second is as if the first had never been
        with Study.create(tmp_path / "s", name="small", job={}, genes=(), storage_url=url) as made:
            made.discard()
        assert not (tmp_path / "s").exists()


def test_a_study_that_says_something_is_kept(study: Study, folder: Path, ask: Ask) -> None:
    study.tell(ask(0), FAILURE, None, worker="w1")
    with pytest.raises(RecordError, match="holds candidates that were told, and is kept"):
        study.discard()
    assert (folder / "study.json").exists()
    assert len(study.candidates()) == 1
