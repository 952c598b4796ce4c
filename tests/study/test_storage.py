from __future__ import annotations

from pathlib import Path

import pytest

from evomerge.errors import RecordError, UserError
from evomerge.study.database_url import name_database
from evomerge.study.folder import Identity
from evomerge.study.journal import repair_journal
from evomerge.study.storage import create_trials, open_trials


def identity(url: str | None = None, name: str = "small") -> Identity:
    if url is not None:
        _, url = name_database(url)
    return Identity(name=name, storage=url, objectives=("a", "b"), genes=())


@pytest.mark.parametrize("database", [False, True])
def test_the_study_is_there_again(tmp_path: Path, database: bool) -> None:
    url = f"sqlite:///{tmp_path}/studies.db" if database else None
    create_trials(identity(url), tmp_path / "journal.log")
    storage, study_id = open_trials(identity(url), tmp_path / "journal.log")
    assert len(storage.get_study_directions(study_id)) == 2
    assert storage.get_study_system_attrs(study_id)["study:metric_names"] == ["a", "b"]
    assert (tmp_path / "journal.log").exists() is not database


def test_optuna_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    create_trials(identity(), tmp_path / "journal.log")
    create_trials(identity(f"sqlite:///{tmp_path}/studies.db"), tmp_path / "journal.log")
    assert capfd.readouterr() == ("", "")


def test_a_database_holds_one_study_of_a_name(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    create_trials(identity(url), tmp_path / "journal.log")
    create_trials(identity(url, "other"), tmp_path / "journal.log")
    with pytest.raises(UserError, match="holds a study called 'small' already"):
        create_trials(identity(url), tmp_path / "journal.log")


def test_an_unknown_study_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no study called 'small'"):
        open_trials(identity(f"sqlite:///{tmp_path}/studies.db"), tmp_path / "journal.log")


@pytest.mark.parametrize(
    "url",
    ["redis://host", "sqlite:////no/such/folder/x.db", "nosuchdb://me:secret@host/x"],
)
def test_an_unreachable_database_is_the_users_error(tmp_path: Path, url: str) -> None:
    with pytest.raises(UserError, match="cannot be opened") as caught:
        create_trials(identity(url), tmp_path / "journal.log")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_journal_is_not_made_up(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="is missing"):
        open_trials(identity(), tmp_path / "journal.log")
    with pytest.raises(RecordError, match="is missing"):
        repair_journal(tmp_path / "journal.log")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "torn", [b'{"op_code": 4, "wor', b'{"op_code"\n', b"\0" * 50, b"\0" * 50 + b"\n", b"\xff\n"]
)
def test_a_torn_last_line_is_dropped(tmp_path: Path, torn: bytes) -> None:
    journal = tmp_path / "journal.log"
    create_trials(identity(), journal)
    before = journal.read_bytes()
    journal.write_bytes(before + torn)
    repair_journal(journal)
    assert journal.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b'{"a":1}\n{"a":2}\n'])
def test_a_whole_journal_is_left_alone(tmp_path: Path, content: bytes) -> None:
    journal = tmp_path / "journal.log"
    journal.write_bytes(content)
    repair_journal(journal)
    assert journal.read_bytes() == content


def test_a_stale_lock_of_optuna_is_removed(tmp_path: Path) -> None:
    journal = tmp_path / "journal.log"
    create_trials(identity(), journal)
    (tmp_path / "journal.log.lock").symlink_to("gone")
    (tmp_path / "journal.log.lock1234.rename").symlink_to("gone")
    repair_journal(journal)
    assert [path.name for path in tmp_path.iterdir()] == ["journal.log"]


def test_damage_elsewhere_is_a_record_error(tmp_path: Path) -> None:
    journal = tmp_path / "journal.log"
    create_trials(identity(), journal)
    journal.write_bytes(b"garbage\n" + journal.read_bytes())
    with pytest.raises(RecordError, match="is damaged"):
        open_trials(identity(), journal)
