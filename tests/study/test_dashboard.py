"""Notes as optuna-dashboard keeps them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

from evomerge.errors import RecordError
from evomerge.evaluators.base import Report
from evomerge.recipe.genome import Genome
from evomerge.recipe.tree import Merge
from evomerge.study.dashboard import note_attributes
from evomerge.study.record import Study
from tests.study.conftest import GENES

LONG = "".join(f"{number}\n" for number in range(1200))


def written(there: dict[str, Any], trial_id: int | None, text: str) -> dict[str, Any]:
    return there | dict(note_attributes(there, trial_id, text))


@pytest.mark.parametrize("trial_id", [None, 7])
@pytest.mark.parametrize("texts", [["short"], [LONG], [LONG, "short"], ["short", LONG, ""]])
def test_the_dashboard_reads_what_was_written_last(texts: list[str], trial_id: int | None) -> None:
    reader = pytest.importorskip("optuna_dashboard._note")
    there: dict[str, Any] = {"dashboard:70:note_str:0": "another trial's"}
    for text in texts:
        there = written(there, trial_id, text)
    note = reader.get_note_from_system_attrs(there, trial_id)
    assert note == {"version": 1, "body": texts[-1]}
    pieces = [value for key, value in there.items() if "note_str" in key]
    assert max(map(len, pieces)) <= reader.SYSTEM_ATTR_MAX_LENGTH


def test_the_version_comes_last_so_that_no_torn_note_is_shown() -> None:
    keys = [key for key, _ in note_attributes({}, 3, LONG)]
    assert keys == [
        "dashboard:3:note_str:0",
        "dashboard:3:note_str:1",
        "dashboard:3:note_str:2",
        "dashboard:3:note_ver",
    ]


def test_what_is_there_already_is_not_written_again() -> None:
    there = written({}, None, LONG)
    assert list(note_attributes(there, None, LONG)) == []


def test_a_note_that_somebody_edited_stays() -> None:
    there = written({}, None, "ours") | {"dashboard:note_str:0": "theirs", "dashboard:note_ver": 2}
    assert list(note_attributes(there, None, "ours again")) == []


@pytest.mark.parametrize("database", [False, True])
def test_notes_touch_nothing_that_a_study_reads(
    tmp_path: Path, genome: Genome, recipe: Merge, report: Report, database: bool
) -> None:
    noted = pytest.importorskip("optuna_dashboard._note")
    url = f"sqlite:///{tmp_path}/studies.db" if database else None
    folder = tmp_path / "study"
    with Study.create(folder, name="small", job={}, genes=GENES, storage_url=url) as study:
        for label in ("first", "second"):
            study.ask(proposed_by="landmark", label=label, genome=genome, recipe=recipe)
        study.tell(1, report, (0.5,), worker="w")
        before = study.candidates(), study.events()
        study.put_notes("of the study", {1: "of the trial"})
        assert (study.candidates(), study.events()) == before
    with Study.open(folder, write=False) as reader:
        assert (reader.candidates(), reader.events()) == before
        with pytest.raises(RecordError, match="not open for writing"):
            reader.put_notes("", {})
    storage = optuna.storages.get_storage(url) if url else journal(folder)
    study_id = storage.get_study_id_from_name("small")
    attributes = storage.get_study_system_attrs(study_id)
    ids = [storage.get_trial_id_from_study_id_trial_number(study_id, n) for n in (0, 1)]
    bodies = [noted.get_note_from_system_attrs(attributes, own)["body"] for own in (None, *ids)]
    assert bodies == ["of the study", "", "of the trial"]


def journal(folder: Path) -> optuna.storages.BaseStorage:
    """The record as Optuna opens it."""
    return optuna.storages.JournalStorage(JournalFileBackend(str(folder / "journal.log")))
