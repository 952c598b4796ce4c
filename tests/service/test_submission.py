"""A search is sent with what it needs, and refused in one sentence where it may not be."""

from __future__ import annotations

import json
import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from evomerge import __version__
from evomerge.config import Job, read_job
from evomerge.errors import ConfigError, UserError
from evomerge.service.submission import Wish, await_start, submit
from evomerge.trust import VARIABLE
from tests.service.local_jobs import LocalJobs
from tests.small_job import SmallJob


@pytest.fixture
def jobs(tmp_path: Path) -> LocalJobs:
    (tmp_path / "cluster").mkdir()
    made = LocalJobs(tmp_path / "cluster", version("ray"))
    made.runs = False
    return made


def on_ray(small_job: SmallJob, **keys: Any) -> Job:
    return read_job(small_job.write(**{"cluster": {"kind": "ray", "workers": 4}} | keys))


def sent(jobs: LocalJobs, tmp_path: Path, id_: str = "small-1") -> dict[str, Any]:
    text = (tmp_path / "cluster" / id_ / "evomerge-job" / "submission.json").read_text()
    read: dict[str, Any] = json.loads(text)
    return read


def test_what_is_sent(small_job: SmallJob, jobs: LocalJobs, tmp_path: Path) -> None:
    made = submit(on_ray(small_job), jobs, Wish(owner="ada", workers=2, drain_s=5))
    assert (made.id, made.folder) == ("small-1", "~/evomerge/small")
    assert made.dashboard == "http://here:8265/#/jobs/small-1"
    assert len(made.remarks) == 3
    assert "models/base has to be on every node under that path" in made.remarks[0]
    job = jobs.jobs["small-1"]
    assert (job.study, job.owner, job.folder) == ("small", "ada", "~/evomerge/small")
    assert jobs.environments["small-1"] == {
        VARIABLE: "1",
        "EVOMERGE_DRAIN_S": "5",
        "RAY_JOB_STOP_WAIT_TIME_S": "35",
    }
    submission = sent(jobs, tmp_path)
    assert submission["evomerge"] == __version__
    cluster = submission["job"]["cluster"]
    assert cluster["address"] == "auto"
    assert cluster["workers"] == {"min": 1, "max": 2}
    assert cluster["placement_timeout_s"] is None, "it would not wait for a full cluster"
    everything = sorted(p.name for p in (tmp_path / "cluster" / "small-1").rglob("*"))
    assert everything == ["evomerge-job", "files", "scorer.py", "submission.json"]


def test_a_limit_that_the_job_names_stays(
    small_job: SmallJob, jobs: LocalJobs, tmp_path: Path
) -> None:
    submit(on_ray(small_job, cluster={"kind": "ray", "placement_timeout_s": 60}), jobs)
    assert sent(jobs, tmp_path)["job"]["cluster"]["placement_timeout_s"] == 60


@pytest.mark.parametrize(
    ("asked", "least"), [({"min": 4, "max": 8}, 2), ({"min": 1, "max": 8}, 1), (8, 1)]
)
def test_fewer_workers_than_the_job_says_are_enough(
    small_job: SmallJob, jobs: LocalJobs, tmp_path: Path, asked: object, least: int
) -> None:
    submit(on_ray(small_job, cluster={"kind": "ray", "workers": asked}), jobs, Wish(workers=2))
    assert sent(jobs, tmp_path)["job"]["cluster"]["workers"] == {"min": least, "max": 2}


def test_the_next_of_a_name_has_the_next_number(small_job: SmallJob, jobs: LocalJobs) -> None:
    job = on_ray(small_job)
    submit(job, jobs, Wish(owner="ada"))
    with pytest.raises(UserError, match=r"under way at http://here:8265 \(small-1, of ada\)"):
        submit(job, jobs)
    jobs.stop("small-1")
    assert submit(job, jobs).id == "small-2"
    assert submit(on_ray(small_job, name="a b/c".replace("/", " ")), jobs).id == "a-b-c-1"


def test_code_needs_consent_which_is_carried_along(
    small_job: SmallJob, jobs: LocalJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "0")
    with pytest.raises(ConfigError, match=r"scorer:likely.*--trust-job"):
        submit(on_ray(small_job), jobs)
    assert not jobs.jobs
    # Who consents to all jobs consents to none on a cluster that needs no consent.
    monkeypatch.setenv(VARIABLE, "1")
    files = {}
    for split in ("search", "holdout"):
        (small_job.folder / f"{split}.txt").write_text(f"words of {split}")
        files[split] = f"{split}.txt"
    text = {"kind": "text", "tasks": {"words": None}, "splits": files}
    submit(on_ray(small_job, evaluator=text), jobs)
    assert jobs.environments["small-1"][VARIABLE] == "0"
    # An engine of a pool may name code, too; where the job itself says it runs is of no account.
    jobs.stop("small-1")
    engine = {"kind": "vllm", "trust_remote_code": True}
    pools = {"kind": "ray", "pools": [{"workers": 1, "engine": engine}]}
    with_code = on_ray(small_job, cluster=pools)
    assert submit(with_code, jobs).id == "small-2"
    assert jobs.environments["small-2"][VARIABLE] == "1"
    monkeypatch.setenv(VARIABLE, "0")
    with pytest.raises(ConfigError, match=r"cluster\.pools: .*--trust-job"):
        submit(with_code, jobs)
    jobs.stop("small-2")
    joined = on_ray(small_job, cluster={"kind": "ray", "address": "h:6379"})
    assert submit(joined, jobs).id == "small-3"


@pytest.mark.parametrize(
    ("keys", "wish", "law"),
    [
        (
            {"cluster": {"kind": "in_process"}},
            Wish(),
            "in_process evaluates in the driver",
        ),
        ({"storage": "postgresql://u:pw@h/d"}, Wish(), "storage: its password does not belong"),
        ({"storage": "sqlite:///studies.db"}, Wish(), "relative to a working directory"),
        (
            {"engine": {"kind": "vllm", "vllm": {"hf_token": "hf_x"}}},
            Wish(),
            "engine.vllm.hf_token: a secret does not belong in a job",
        ),
        (
            {"cluster": {"kind": "ray", "pools": [{"workers": 1}, {"workers": 2}]}},
            Wish(workers=2),
            "--workers: each of the job's cluster.pools says how many",
        ),
        ({}, Wish(folder="runs/x"), "--out runs/x: .* is an absolute path there"),
    ],
)
def test_what_is_refused(
    small_job: SmallJob, jobs: LocalJobs, keys: dict[str, Any], wish: Wish, law: str
) -> None:
    with pytest.raises(ConfigError, match=law):
        submit(on_ray(small_job, **keys), jobs, wish)
    assert not jobs.jobs


def test_a_url_of_artifacts_with_a_secret_in_it_is_refused(
    small_job: SmallJob, jobs: LocalJobs
) -> None:
    keys = {"storage": "env:URL", "artifacts": "s3://key:secret@bucket/studies"}
    with pytest.raises(UserError, match="holds credentials or options") as caught:
        submit(on_ray(small_job, **keys), jobs)
    assert "secret" not in str(caught.value)
    assert not jobs.jobs


def test_another_version_of_ray_is_named_with_ours(small_job: SmallJob, jobs: LocalJobs) -> None:
    jobs.ray = "2.9.1"
    with pytest.raises(UserError, match=rf"runs Ray 2\.9\.1, and here is Ray {version('ray')}"):
        submit(on_ray(small_job), jobs)
    assert not jobs.jobs


@pytest.mark.process
def test_a_driver_that_cannot_start_says_why(
    small_job: SmallJob, jobs: LocalJobs, tmp_path: Path
) -> None:
    """The folder that its study should get is a file, and its files have no place beside it."""
    jobs.runs = True
    (tmp_path / "file").write_text("")
    submit(on_ray(small_job), jobs, Wish(folder=str(tmp_path / "file" / "study")))
    with pytest.raises(UserError, match=r"^small-1: on the node .*file/.*: cannot be written"):
        await_start(jobs, "small-1", 60)


@pytest.mark.process
@pytest.mark.parametrize("python", ["no-such-python", "bare"])
def test_a_cluster_without_evomerge_says_so(
    small_job: SmallJob, jobs: LocalJobs, tmp_path: Path, python: str
) -> None:
    """The Python is not there, or sees no packages."""
    jobs.runs = True
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -S "$@"\n')
    bare.chmod(0o755)
    submit(on_ray(small_job), jobs, Wish(python=str(tmp_path / python)))
    with pytest.raises(UserError, match=r"has no evomerge, or is not there; .* with --python"):
        await_start(jobs, "small-1", 60)
