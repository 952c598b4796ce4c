from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from evomerge.errors import InfrastructureError, RecordError, UserError
from evomerge.recipe.genome import ChoiceGene, FloatGene
from evomerge.study.folder import Identity, StudyFolder
from evomerge.study.journal import ChecksummedJournal, repair_journal
from evomerge.study.lock import WriterLock
from evomerge.study.record import Study

IDENTITY = Identity(
    name="small",
    storage=None,
    objectives=("fitness",),
    genes=(
        FloatGene(name="w", low=0.5, high=2.0, log=True),
        ChoiceGene(name="method", choices=("linear", "ties")),
    ),
)


def make(path: Path) -> StudyFolder:
    folder = StudyFolder(path)
    folder.create(IDENTITY, {"seed": 7}, lambda new: new.journal.touch())
    return folder


def test_a_new_folder_reads_back(tmp_path: Path) -> None:
    folder = make(tmp_path / "runs" / "one")
    assert folder.read_identity() == IDENTITY
    assert folder.read_job() == {"seed": 7}
    assert {entry.name for entry in folder.path.iterdir()} == {
        "study.json", "job.json", "journal.log", "examples",
    }  # fmt: skip
    assert [entry.name for entry in (tmp_path / "runs").iterdir()] == ["one"]


def test_an_empty_folder_is_filled_and_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make(Path())
    assert json.loads((tmp_path / "job.json").read_text()) == {"seed": 7}
    assert StudyFolder(Path()).read_identity() == IDENTITY


@pytest.mark.parametrize(
    ("name", "message"),
    [("study.json", "holds another study; continue it with `evomerge resume"), ("x", "not empty")],
)
def test_a_folder_that_holds_something_is_refused_and_untouched(
    tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(UserError, match=message):
        make(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        make(tmp_path / "file")


def test_nothing_is_left_of_a_creation_that_failed(tmp_path: Path) -> None:
    def fail(new: StudyFolder) -> None:
        raise UserError("no database")

    with pytest.raises(UserError, match="no database"):
        StudyFolder(tmp_path / "study").create(IDENTITY, {}, fail)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        make(tmp_path / "file" / "study")


def test_what_is_no_study_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a study"):
        StudyFolder(tmp_path).read_identity()


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    folder = make(tmp_path / "study")
    later = json.loads(folder.identity.read_text()) | {"format": 2}
    folder.identity.write_text(json.dumps(later))
    with pytest.raises(UserError, match="later version"):
        folder.read_identity()


GENE = {"name": "g", "low": 0.0, "high": 1.0}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"objectives": []}, "objectives: at least one is wanted"),
        ({"objectives": ["a", "a"]}, "and each once"),
        ({"genes": [GENE, GENE]}, "genes: a name stands twice"),
    ],
)
def test_objectives_and_genes_have_names_of_their_own(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    folder = make(tmp_path / "study")
    folder.identity.write_text(json.dumps(json.loads(folder.identity.read_text()) | change))
    with pytest.raises(UserError, match=said):
        folder.read_identity()


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_damaged_job_is_a_record_error(tmp_path: Path, content: str) -> None:
    folder = make(tmp_path / "study")
    folder.job.write_text(content)
    with pytest.raises(RecordError, match=r"job\.json"):
        folder.read_job()


def test_sweeping_removes_only_what_was_not_finished(tmp_path: Path) -> None:
    folder = make(tmp_path / "study")
    (folder.examples / ".a.json.gz.12.partial").write_text("")
    (folder.path / ".job.json.12.partial").mkdir()
    (folder.path / ".job.json.12.partial" / "job.json").write_text("")
    (folder.path / ".link.12.partial").symlink_to(folder.examples)
    (folder.examples / "b.json.gz").write_text("")
    folder.sweep()
    assert [entry.name for entry in folder.examples.iterdir()] == ["b.json.gz"]
    assert not list(folder.path.glob(".*"))


def test_whether_it_can_be_written_is_tried_and_nothing_is_left(tmp_path: Path) -> None:
    StudyFolder(tmp_path / "runs" / "one").check_writable()
    StudyFolder(tmp_path).check_writable()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"one: cannot be written \(.*file: Not a directory\)"):
        StudyFolder(tmp_path / "file" / "one").check_writable()


@pytest.mark.parametrize("keep", [False, True])
def test_what_is_removed_is_the_study_and_no_more(tmp_path: Path, keep: bool) -> None:
    folder = make(tmp_path / "study")
    folder.remove(keep=keep)
    assert folder.path.exists() is keep
    folder = make(tmp_path / "other")
    (folder.path / "notes.txt").write_text("mine")
    folder.remove(keep=keep)
    assert [entry.name for entry in folder.path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    "part", ["study.json", "job.json", "journal.log", "examples", "writer.lock"]
)
@pytest.mark.parametrize("write", [False, True])
def test_a_part_of_a_study_is_no_link(tmp_path: Path, part: str, write: bool) -> None:
    study = tmp_path / "study"
    Study.create(study, name="small", job={}, genes=()).close()
    outside = tmp_path / "outside"
    if (study / part).exists():
        (study / part).rename(outside)
    else:
        outside.write_text("mine")
    (study / part).symlink_to(outside)
    before = outside.read_bytes() if outside.is_file() else list(outside.iterdir())
    with pytest.raises(UserError, match="is a link, and a study lies in one folder"):
        Study.open(study, write=write)
    assert before == (outside.read_bytes() if outside.is_file() else list(outside.iterdir()))


@pytest.mark.parametrize(
    ("part", "write"),
    [
        *((part, write) for part in ("study.json", "job.json", "journal.log") for write in (0, 1)),
        ("writer.lock", 1),
    ],
)
def test_a_part_of_a_study_is_no_pipe(tmp_path: Path, part: str, write: int) -> None:
    """Nobody would ever write to it, and whoever reads would wait for that."""
    study = tmp_path / "study"
    Study.create(study, name="small", job={}, genes=()).close()
    (study / part).unlink(missing_ok=True)
    os.mkfifo(study / part)
    with pytest.raises((UserError, RecordError), match=r"regular file|a file is wanted|is missing"):
        Study.open(study, write=bool(write))


def test_a_folder_in_the_place_of_a_left_file(tmp_path: Path) -> None:
    study = tmp_path / "study"
    Study.create(study, name="small", job={}, genes=()).close()
    for part in (".x.partial", "examples/.x.partial"):
        (study / part).mkdir()
    Study.open(study, write=True).close()
    assert not (study / ".x.partial").exists()
    (study / "journal.log.lock").mkdir()
    with pytest.raises(RecordError, match="is a folder, and a study has none; remove it"):
        Study.open(study, write=True)


def test_a_link_that_came_after_the_check_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    journal, lock = tmp_path / "journal.log", tmp_path / "writer.lock"
    for path in (journal, lock):
        path.symlink_to(outside)
    with pytest.raises(OSError, match="it is a link"):
        list(ChecksummedJournal(journal).read_logs(0))
    with pytest.raises(InfrastructureError, match="it is a link"):
        ChecksummedJournal(journal).append_logs([{"op_code": 0}])
    with pytest.raises(RecordError, match="it is a link"):
        repair_journal(journal)
    with pytest.raises(UserError, match="it is a link"):
        WriterLock(lock)
    for name in ("identity", "job"):
        part = getattr(StudyFolder(tmp_path), name)
        part.symlink_to(outside)
    with pytest.raises(RecordError, match="it is a link"):
        StudyFolder(tmp_path).read_job()
    assert outside.read_text() == "mine"


@pytest.mark.parametrize("target", ["study/journal.log", "outside"])
def test_the_lock_that_a_killed_writer_left_is_a_link_and_no_harm(
    tmp_path: Path, target: str
) -> None:
    """Optuna's lock of a journal is one; whatever it points to is left alone."""
    Study.create(tmp_path / "study", name="small", job={}, genes=()).close()
    (tmp_path / "outside").write_text("mine")
    lock = tmp_path / "study" / "journal.log.lock"
    lock.symlink_to(tmp_path / target)
    Study.open(tmp_path / "study", write=False).close()
    with Study.open(tmp_path / "study", write=True) as study:
        assert not lock.is_symlink()
        study.put("key", 1)
    with Study.open(tmp_path / "study", write=False) as study:
        assert study.get("key") == 1
    assert (tmp_path / "outside").read_text() == "mine"
