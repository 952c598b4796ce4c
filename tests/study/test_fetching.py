"""A study whose files lie elsewhere: another machine goes on with it from an empty disk."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from evomerge.errors import InfrastructureError, UserError
from evomerge.evaluators.base import Report
from evomerge.study.artifact_url import ARTIFACTS
from evomerge.study.database_url import STORAGE
from evomerge.study.fetching import (
    STUDIES,
    as_typed,
    fetch_study,
    is_begun,
    local_study,
    named_study,
)
from evomerge.study.record import Study
from tests.study.elsewhere import Awkward, ask, make, register

EVALUATOR = "e" * 64
DIGESTS = ["a" * 64, "b" * 64, "c" * 64]


class Shared:
    """A database and a folder that several machines reach."""

    def __init__(self, folder: Path) -> None:
        self.storage = f"sqlite:///{folder}/study.db"
        self.files = folder / "shared"
        self.artifacts = f"file://{self.files}"
        self.url = f"{self.artifacts}/one"


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shared]:
    made = Shared(tmp_path)
    monkeypatch.setenv(STORAGE, made.storage)
    monkeypatch.setenv(STUDIES, str(tmp_path / "copies"))
    monkeypatch.delenv(ARTIFACTS, raising=False)
    register()
    Awkward.reset()
    yield made
    Awkward.reset()


def score(study: Study, report: Report, digest: str) -> None:
    number = ask(study)
    study.reports.save(digest, EVALUATOR, report)
    study.tell(number, report, (0.5,), worker="w")


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_another_machine_goes_on(shared: Shared, tmp_path: Path, report: Report) -> None:
    answered = report.model_copy(update={"answers": {"sums": ()}})
    with make(tmp_path / "first", shared.storage, shared.artifacts) as study:
        score(study, report, DIGESTS[0])
        score(study, answered, DIGESTS[1])
    kept = names(shared.files / "one")
    assert [name for name in names(tmp_path / "first") if name != "writer.lock"] == kept
    shutil.rmtree(tmp_path / "first")

    folder = local_study(shared.url)
    assert local_study(Path(shared.url)) == folder  # as the command line has it
    assert names(folder) == ["job.json", "study.json"]
    assert (as_typed(folder), as_typed(tmp_path)) == (shared.url, str(tmp_path))
    with Study.open(folder, write=True) as study:
        assert study.reports.load(DIGESTS[0], EVALUATOR, "search") == report
        assert study.reports.load(DIGESTS[2], EVALUATOR, "search") is None
        study.reports.fetch()
        assert study.reports.load_answers(DIGESTS[1], EVALUATOR, "search") == {"sums": ()}
        score(study, report, DIGESTS[2])
        assert len(study.candidates()) == 3
    assert len(names(shared.files / "one")) == len(kept) + 1
    # A third looks at it, without the second's folder.
    shutil.rmtree(folder)
    with Study.open(fetch_study(shared.url), write=False) as study:
        assert study.reports.load(DIGESTS[2], EVALUATOR, "search") == report


def test_all_of_it_can_be_brought_here(shared: Shared, tmp_path: Path, report: Report) -> None:
    answered = report.model_copy(update={"answers": {"sums": ()}})
    with make(tmp_path / "first", shared.storage, shared.artifacts) as study:
        score(study, answered, DIGESTS[0])
    folder = fetch_study(shared.url, tmp_path / "copy", everything=True)
    assert folder == tmp_path / "copy"
    assert names(folder) == names(shared.files / "one")
    assert fetch_study(shared.url, tmp_path / "copy", everything=True) == folder
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    with pytest.raises(UserError, match="is not empty"):
        fetch_study(shared.url, tmp_path / "full")


def test_a_report_is_elsewhere_before_the_record_says_so(
    shared: Shared, tmp_path: Path, report: Report
) -> None:
    with make(tmp_path / "first", shared.storage, "awkward://" + str(shared.files)) as study:
        number = ask(study)
        Awkward.refuses = PermissionError(13, "Access Denied")
        with pytest.raises(InfrastructureError, match=r"Access Denied.*`evomerge resume`"):
            study.reports.save(DIGESTS[0], EVALUATOR, report)
        assert not list((tmp_path / "first" / "examples").iterdir())
        assert study.reports.load(DIGESTS[0], EVALUATOR, "search") is None
        Awkward.reset()
        study.reports.save(DIGESTS[0], EVALUATOR, report)
        study.tell(number, report, (0.5,), worker="w")


def test_a_new_study_needs_a_free_place(shared: Shared, tmp_path: Path) -> None:
    make(tmp_path / "first", shared.storage, shared.artifacts).close()
    other = f"sqlite:///{tmp_path}/other.db"
    with pytest.raises(UserError, match="holds another study; continue it with `evomerge resume"):
        make(tmp_path / "second", other, shared.artifacts)
    assert not (tmp_path / "second").exists()
    assert not (tmp_path / "other.db").exists()


def test_what_could_not_be_made_leaves_nothing(shared: Shared, tmp_path: Path) -> None:
    (shared.files).mkdir()
    # Its name is free in the database, which is asked last.
    make(tmp_path / "first", shared.storage, f"{shared.artifacts}/elsewhere").close()
    with pytest.raises(UserError, match="holds a study called 'one' already"):
        make(tmp_path / "second", shared.storage, shared.artifacts)
    assert names(shared.files) == ["elsewhere/one/job.json", "elsewhere/one/study.json"]
    assert not (tmp_path / "second").exists()


def test_a_discarded_study_is_gone_elsewhere_too(shared: Shared, tmp_path: Path) -> None:
    with make(tmp_path / "first", shared.storage, shared.artifacts) as study:
        study.discard()
    assert list(shared.files.iterdir()) == []
    make(tmp_path / "first", shared.storage, shared.artifacts).close()


def test_a_second_driver_is_refused(shared: Shared, tmp_path: Path) -> None:
    with make(tmp_path / "first", shared.storage, shared.artifacts):
        with pytest.raises(UserError, match=f"^{shared.url}: the study is being written by"):
            Study.open(fetch_study(shared.url), write=True)
        with Study.open(fetch_study(shared.url), write=False) as seen:
            assert seen.writer.name.startswith(f"process {os.getpid()} on ")
            assert seen.writer.is_writing
    with Study.open(fetch_study(shared.url), write=False) as seen:
        assert not seen.writer.is_writing
    Study.open(fetch_study(shared.url), write=True).close()


@pytest.mark.process
def test_a_killed_driver_is_followed_at_once_on_its_machine(
    shared: Shared, tmp_path: Path, report: Report
) -> None:
    process = os.fork()
    if not process:
        study = make(tmp_path / "first", shared.storage, shared.artifacts)
        score(study, report, DIGESTS[0])
        ask(study)
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitpid(process, 0)[1] == signal.SIGKILL
    shutil.rmtree(tmp_path / "first")
    with Study.open(fetch_study(shared.url), write=True) as study:
        assert [candidate.state for candidate in study.candidates()] == ["done", "running"]
        assert study.reports.load(DIGESTS[0], EVALUATOR, "search") == report


def test_a_copy_of_a_study_that_was_made_anew_is_replaced(shared: Shared, tmp_path: Path) -> None:
    with make(tmp_path / "first", shared.storage, shared.artifacts) as study:
        before = fetch_study(shared.url)
        study.discard()
    make(tmp_path / "first", shared.storage, shared.artifacts).close()
    Study.open(fetch_study(shared.url), write=True).close()
    assert fetch_study(shared.url) == before
    make(tmp_path / "other", shared.storage, shared.artifacts, name="two").close()
    with pytest.raises(UserError, match="holds another study than"):
        fetch_study(f"{shared.artifacts}/two", tmp_path / "first")


def test_what_is_no_study_elsewhere(shared: Shared, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a study"):
        fetch_study(shared.url)
    assert not is_begun(shared.artifacts, "one")
    with Study.create(shared.files / "one", name="one", job={}, genes=()):
        pass
    with pytest.raises(UserError, match="a study without a database"):
        fetch_study(shared.url)
    assert local_study(shared.files / "one") == shared.files / "one"


def test_a_job_names_its_study(
    shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(STORAGE)
    make(tmp_path / "runs" / "one", shared.storage, shared.artifacts).close()
    assert is_begun(shared.artifacts, "one")
    here = named_study("one", shared.storage, shared.artifacts)
    assert here == Path("runs") / "one"
    Study.open(here, write=True).close()
    shutil.rmtree(here)
    assert named_study("one", shared.storage, shared.artifacts).parent == tmp_path / "copies"
    assert named_study("two", None, None) == Path("runs") / "two"
