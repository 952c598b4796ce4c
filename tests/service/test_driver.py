"""What a submitted search's driver does before it becomes the ordinary command."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from evomerge import api
from evomerge.cluster.job_files import VARIABLE, have_job_files
from evomerge.config import Job, read_job
from evomerge.errors import ConfigError, UserError
from evomerge.searching.plan import Plan
from evomerge.service.driver import command
from evomerge.service.submission import Wish, submit
from evomerge.study.folder import StudyFolder
from evomerge.study.record import Study
from tests.service.local_jobs import LocalJobs
from tests.small_job import SmallJob
from tests.study.elsewhere import make as make_elsewhere


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyFolder:
    monkeypatch.delenv(VARIABLE, raising=False)
    return StudyFolder(tmp_path / "there" / "small")


def arrive(small_job: SmallJob, study: StudyFolder, **keys: Any) -> Path:
    """A job sent to a cluster, as Ray unpacks it."""
    folder = study.path.parent.parent / f"cluster{len(list(study.path.parent.parent.iterdir()))}"
    folder.mkdir()
    jobs = LocalJobs(folder, version("ray"))
    jobs.runs = False
    job = read_job(small_job.write(**{"cluster": {"kind": "ray"}} | keys))
    submit(job, jobs, Wish(folder=str(study.path)))
    return folder / "small-1" / "evomerge-job"


def test_a_new_study_is_searched_with_files_that_last(
    small_job: SmallJob, study: StudyFolder
) -> None:
    sent = arrive(small_job, study)
    verb, file, out, folder = command(sent)
    assert (verb, out, folder) == ("search", "--out", str(study.path))
    evaluator: Any = read_job(Path(file)).evaluator
    place = Path(os.environ[VARIABLE])
    assert place.parent == study.path.parent / ".evomerge-files"
    assert evaluator.path == str(place / "scorer.py")
    assert Path(evaluator.path).read_text() == (small_job.folder / "scorer.py").read_text()
    assert not study.path.exists(), "the search makes it, whole or not at all"


def test_a_study_that_is_there_goes_on_on_its_new_cluster(
    small_job: SmallJob, study: StudyFolder
) -> None:
    sent = arrive(small_job, study)
    _, file, *_ = command(sent)
    job = read_job(Path(file))
    make(study, job)
    again = arrive(small_job, study, cluster={"kind": "ray", "workers": 3})
    verb, file, out, folder = command(again)
    assert (verb, out, folder) == ("resume", "--out", str(study.path))
    given = read_job(Path(file))
    now = api.moved(job, given, study.path)
    assert now.cluster.workers == 3
    other = read_job(Path(command(arrive(small_job, study, seed=5))[1]))
    with pytest.raises(UserError, match="seed is not what the study began with"):
        api.resume(study.path, job=other)


def test_a_study_whose_files_are_kept_elsewhere_goes_on_from_an_empty_disk(
    small_job: SmallJob, study: StudyFolder, tmp_path: Path
) -> None:
    shared = {"storage": f"sqlite:///{tmp_path}/study.db", "artifacts": f"file://{tmp_path}/shared"}
    assert command(arrive(small_job, study, **shared))[0] == "search"
    with make_elsewhere(tmp_path / "first", **shared, name="small"):
        pass
    verb, _, out, folder = command(arrive(small_job, study, **shared))
    assert (verb, out, folder) == ("resume", "--out", str(study.path))
    assert not study.path.exists(), "resuming brings it"


def test_another_version_of_evomerge_is_named_with_ours(
    small_job: SmallJob, study: StudyFolder
) -> None:
    sent = arrive(small_job, study)
    file = sent / "submission.json"
    theirs = {"evomerge": "0.0.1", "what_only_theirs_says": 1}
    file.write_text(json.dumps(json.loads(file.read_text()) | theirs))
    with pytest.raises(UserError, match=r"by evomerge 0\.0\.1, and the node .* has evomerge"):
        command(sent)


def test_a_worker_on_another_node_puts_the_files_in_the_same_place(
    small_job: SmallJob, study: StudyFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sent = arrive(small_job, study)
    place = tmp_path / "node" / "abc"
    monkeypatch.chdir(sent.parent)
    have_job_files({VARIABLE: str(place)})
    assert (place / "scorer.py").is_file()
    have_job_files({VARIABLE: str(place)})  # it is there: nothing is done
    have_job_files({})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="are not on the node"):
        have_job_files({VARIABLE: str(tmp_path / "other")})


def make(study: StudyFolder, job: Job) -> None:
    """The beginning of a study, as a search leaves it."""
    plan = Plan(job)
    with Study.create(
        study.path,
        name=job.name,
        job=job.model_dump(mode="json"),
        objectives=plan.objective.names,
        genes=plan.space.genes,
        storage_url=None,
    ):
        pass
