"""A search sent to a Ray cluster: its own files, what it is called, and what its driver is told."""

from __future__ import annotations

import getpass
import re
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from evomerge import __version__
from evomerge.cluster import jobs as job_keys
from evomerge.cluster.config import ClusterConfig, RayConfig, WorkerRange
from evomerge.cluster.job_files import SENT
from evomerge.cluster.jobs import Jobs, SubmittedJob
from evomerge.config import Job
from evomerge.errors import ConfigError, UserError
from evomerge.interruption import DRAIN
from evomerge.service.bundle import make_bundle
from evomerge.study.artifact_url import check_artifacts_url
from evomerge.study.database_url import without_secrets
from evomerge.study.url_reference import is_reference
from evomerge.temporary import temporary_folder
from evomerge.trust import VARIABLE, has_consent, require_trust
from evomerge.value import Value

__all__ = [
    "DRAIN_S",
    "SUBMISSION",
    "Submission",
    "Submitted",
    "Wish",
    "await_start",
    "submit",
]

SUBMISSION = "submission.json"
"""What the driver reads, beside the job's files."""
DRAIN_S = 600.0
"""How long a search that is stopped may finish what runs, where nothing else is said."""
_BEGUN = "\nworkers: "
"""What a search prints once it has checked its job and asks for workers."""
KILL_S = 30
"""So many seconds later Ray kills a search that was stopped and has not ended."""
_NO_EVOMERGE = re.compile(r"No module named '?evomerge|exec: .*not found")
_SECRET = re.compile(r"(^|_)(token|password|passwd|secret|api_key)$", re.IGNORECASE)


class Submission(Value):
    """What the driver of a submitted search is told."""

    evomerge: str
    """The version that submitted it."""
    folder: str
    """Where the study lies on the cluster."""
    digest: str | None
    """Of the job's files."""
    job: Mapping[str, Any]
    """The job, with marks for the place of its files."""


@dataclass(frozen=True)
class Wish:
    """How a search is to run, beside what its job says."""

    folder: str | None = None
    """Where the study lies on the cluster: absolute, or below `~`; None: `~/evomerge/NAME`."""
    workers: Annotated[int, Field(ge=1)] | None = None
    """Most workers at once; None: as the job says."""
    drain_s: float = DRAIN_S
    """How long it may finish what runs when it is stopped."""
    python: str = "python"
    """The Python on the cluster that has evomerge."""
    owner: str | None = None
    """Who submits; None: the user of this process."""


@dataclass(frozen=True)
class Submitted:
    """What was sent where."""

    id: str
    folder: str
    dashboard: str
    """The page of the job."""
    sent: Sequence[str]
    """Files and folders that went along."""
    remarks: Sequence[str]
    """What has to hold on every node."""


def submit(job: Job, jobs: Jobs, wish: Wish | None = None) -> Submitted:
    """Send a job to a cluster, where it runs until it is over or stopped.

    Where the study's folder holds a study of the same job already, the search goes on with it.

    Raises:
        UserError: it names code and nobody has consented, holds a secret, cannot run there, runs
            already under that name, or the cluster has another version of Ray.
    """
    wish = wish or Wish()
    job = job.model_copy(update={"cluster": _cluster(job.cluster, wish.workers)})
    require_trust(job.code)
    check_no_secrets(job.model_dump(mode="json"))
    folder = _folder(wish.folder, job.name)
    _check_version(jobs)
    id_ = _free_id(jobs, job.name)
    with temporary_folder("submit") as place:
        inner = place / SENT
        inner.mkdir()
        bundle = make_bundle(job, inner)
        submission = Submission(
            evomerge=__version__,
            folder=folder,
            digest=bundle.digest,
            job=bundle.job,
        )
        text = submission.model_dump_json(indent=2)
        (inner / SUBMISSION).write_text(text, encoding="utf-8")
        jobs.submit(
            id_,
            f"exec {shlex.quote(wish.python)} -m evomerge.service.driver",
            files=place,
            environment=_environment(job, wish.drain_s),
            metadata={
                job_keys.NAME: job.name,
                job_keys.STUDY: job.name,
                job_keys.OWNER: wish.owner or _user(),
                job_keys.FOLDER: folder,
                job_keys.PYTHON: wish.python,
                **({job_keys.ARTIFACTS: job.artifacts} if job.artifacts is not None else {}),
                job_keys.VERSION: __version__,
            },
        )
    return Submitted(id_, folder, f"{jobs.address}/#/jobs/{id_}", bundle.sent, _needed(job))


def await_start(jobs: Jobs, id_: str, within_s: float) -> SubmittedJob | None:
    """How a job is once its search has begun, or when the time is over; None where no more is known
    of it then than that it was sent.

    Raises:
        UserError: it has failed already (versions, say, or what a search checks first); in the
            words that it left.
    """
    job = None
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        job = jobs.get(id_)
        if job is not None and job.state != "PENDING":
            said = jobs.logs(id_)
            if job.state == "FAILED":
                raise UserError(f"{id_}: {_last_words(said) or job.message}")
            if job.is_over or _BEGUN in said:
                return job
        time.sleep(0.3)
    return job


def check_no_secrets(data: Any, key: str = "") -> None:
    """
    Raises:
        ConfigError: a key of the job is called as a secret is, and holds text; or its database has
            a password. What is sent to a cluster stands in its logs and its dashboard.
    """
    if isinstance(data, Mapping):
        for name, value in data.items():
            inner = f"{key}.{name}" if key else str(name)
            if isinstance(value, str) and value and _SECRET.search(str(name)):
                raise ConfigError(
                    f"{inner}: a secret does not belong in a job; set it in the environment of the"
                    " cluster's nodes, before Ray is started there"
                )
            if inner == "storage" and isinstance(value, str):
                _check_storage(value)
            if inner == "artifacts" and isinstance(value, str) and not is_reference(value):
                check_artifacts_url(value)
            check_no_secrets(value, inner)
    elif isinstance(data, list):
        for number, value in enumerate(data):
            check_no_secrets(value, f"{key}.{number}")


def _check_storage(url: str) -> None:
    if is_reference(url):
        return
    if without_secrets(url) != url:
        raise ConfigError(
            "storage: its password does not belong in a job; set EVOMERGE_STORAGE_PASSWORD in the"
            " environment of the cluster's nodes, or write env:NAME for a variable there that holds"
            " the URL"
        )
    if url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
        raise ConfigError(
            f"storage: {url} is relative to a working directory, which a submitted search does not"
            " keep; write sqlite:////PATH on the cluster"
        )


def _environment(job: Job, drain_s: float) -> dict[str, str]:
    """Consent is carried along where the job needs it, and taken back where it does not, whatever
    the nodes say of themselves."""
    return {
        VARIABLE: "1" if job.code and has_consent() else "0",
        DRAIN: f"{drain_s:g}",
        "RAY_JOB_STOP_WAIT_TIME_S": str(int(drain_s) + KILL_S),
    }


def _cluster(cluster: ClusterConfig, workers: int | None) -> ClusterConfig:
    """Where it runs: on the cluster that it is sent to, waiting for places as long as it takes."""
    if not isinstance(cluster, RayConfig):
        if cluster.kind == "in_process":
            raise ConfigError(
                "cluster: in_process evaluates in the driver, and a submitted search needs Ray's"
                " workers; write cluster: auto"
            )
        return cluster
    changes: dict[str, Any] = {"address": "auto"}
    if "placement_timeout_s" not in cluster.model_fields_set:
        changes["placement_timeout_s"] = None
    if workers is not None and cluster.pools:
        raise ConfigError(
            "--workers: each of the job's cluster.pools says how many it has; change it there"
        )
    if workers is not None:
        asked = cluster.workers
        least = min(asked.min, workers) if isinstance(asked, WorkerRange) else 1
        changes["workers"] = WorkerRange(min=least, max=workers)
    return cluster.model_copy(update=changes)


def _folder(asked: str | None, name: str) -> str:
    folder = asked or f"~/evomerge/{name}"
    if not folder.startswith(("/", "~/")):
        raise ConfigError(
            f"--out {folder}: where a study lies on a cluster is an absolute path there, or starts"
            " with ~/"
        )
    return folder


def _check_version(jobs: Jobs) -> None:
    here = version("ray")
    if jobs.ray != here:
        raise UserError(
            f"{jobs.address}: the cluster runs Ray {jobs.ray}, and here is Ray {here} (Python"
            f" {sys.version_info[0]}.{sys.version_info[1]}); install ray=={jobs.ray} here, or"
            " submit from a machine that has it"
        )


def _free_id(jobs: Jobs, name: str) -> str:
    """NAME-1, or the number after the last.

    Raises:
        UserError: a search of this name is under way.
    """
    slug = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "search"
    latest = 0
    for job in jobs.all():
        if job.study == name and not job.is_over:
            raise UserError(
                f"{name}: a search of this name is under way at {jobs.address} ({job.id}, of"
                f" {job.owner or 'somebody'}); wait for it, stop it with `evomerge stop {job.id}`,"
                " or give yours another name"
            )
        if number := re.fullmatch(rf"{re.escape(slug)}-(\d+)", job.id):
            latest = max(latest, int(number[1]))
    return f"{slug}-{latest + 1}"


def _needed(job: Job) -> list[str]:
    """What is not sent, and has to be on every node."""
    said = []
    for name, source in job.sources.items():
        parts = (source.model, source.adapter, source.statistics)
        if places := [part for part in parts if part and Path(part).is_absolute()]:
            said.append(
                f"sources.{name}: {', '.join(places)} has to be on every node under that path;"
                " models are not sent"
            )
    return said


def _last_words(log: str) -> str:
    """The sentence that a driver ended with."""
    lines = [line for line in log.splitlines() if line.strip()]
    if any(_NO_EVOMERGE.search(line) for line in lines):
        return (
            "the cluster's `python` has no evomerge, or is not there; install it on every node, or"
            " name the Python that has it with --python"
        )
    ours = [line for line in lines if line.startswith("evomerge: ")]
    return (ours or lines or [""])[-1].removeprefix("evomerge: ")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
