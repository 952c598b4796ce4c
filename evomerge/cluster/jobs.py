"""The searches that were submitted to a Ray cluster, as its Jobs API has them.

A submitted search has an id of its own, NAME-1, NAME-2, ...: one that goes on is a new job over the
same study. What else is known of it stands in the job's metadata, which Ray's dashboard shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from evomerge.errors import UserError, did_you_mean
from evomerge.plugins import load

__all__ = [
    "ADDRESS",
    "ARTIFACTS",
    "FOLDER",
    "NAME",
    "OWNER",
    "PYTHON",
    "STUDY",
    "VERSION",
    "Jobs",
    "State",
    "SubmittedJob",
    "connect",
    "find_job",
]

ADDRESS = "http://127.0.0.1:8265"
"""Of the dashboard that `ray start --head` starts."""

NAME, STUDY, OWNER, FOLDER, ARTIFACTS, PYTHON, VERSION = (
    "job_name",
    "evomerge.study",
    "evomerge.owner",
    "evomerge.folder",
    "evomerge.artifacts",
    "evomerge.python",
    "evomerge.version",
)
"""Keys of a job's metadata: its name (Ray's own key), the study's, who submitted it, where the
study lies on the cluster and where its files are kept beside a database, the Python there that has
evomerge, and the version of evomerge."""

State = Literal["PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED"]


@dataclass(frozen=True)
class SubmittedJob:
    """What a cluster says of a search that was submitted to it."""

    id: str
    study: str
    """The study's name."""
    owner: str
    """Who submitted it."""
    folder: str
    """Where the study lies on the cluster, as it was asked for: `~` is the home of Ray's user."""
    artifacts: str | None
    """The URL below which the study's files are kept beside a database, as the job has it; None:
    the study lies in its folder."""
    python: str
    """The Python there that has evomerge."""
    state: State
    message: str
    """What the job says of itself, else what Ray says of it."""
    began: float | None
    """Unix time, in seconds."""
    ended: float | None
    """Unix time, in seconds; None while it runs."""
    node: str | None
    """Ray's id of the node that its driver runs on; None before it has one."""

    @property
    def says(self) -> str:
        """The last line of its message: what a traceback ends with, say."""
        return self.message.strip().rpartition("\n")[2]

    @property
    def is_over(self) -> bool:
        """Whether it will never run again."""
        return self.state in ("STOPPED", "SUCCEEDED", "FAILED")


class Jobs(Protocol):
    """Ray's Jobs API at one address.

    Every method raises `UserError` where the cluster cannot be reached or refuses the token, and
    `InfrastructureError` where it answers with a fault of its own.
    """

    @property
    def address(self) -> str:
        """The dashboard's."""

    @property
    def ray(self) -> str:
        """The version of Ray that the cluster runs."""

    def submit(
        self,
        id_: str,
        entrypoint: str,
        *,
        files: Path | None,
        environment: Mapping[str, str],
        metadata: Mapping[str, str],
        node: str | None = None,
    ) -> None:
        """Start a job.

        Args:
            entrypoint: what a shell is given, in a copy of the folder `files`.
            environment: variables of the job and its workers; whoever sees the dashboard sees them.
            node: Ray's id of the node that it has to run on.

        Raises:
            UserError: a job has that id already, or the files are too large.
        """

    def all(self) -> Sequence[SubmittedJob]:
        """Every search that was submitted, the oldest first."""

    def get(self, id_: str) -> SubmittedJob | None:
        """The job of this id, whoever submitted it; None where there is none."""

    def logs(self, id_: str) -> str:
        """What a job has printed so far."""

    def follow(self, id_: str) -> Iterator[str]:
        """What a job has printed and prints, in pieces, until it is over."""

    def stop(self, id_: str) -> None:
        """Ask a job to end (SIGTERM); it is killed where it takes longer than it said it would."""

    def forget(self, id_: str) -> None:
        """Let no list have a job any more that is over."""


def connect(address: str) -> Jobs:
    """The jobs of the cluster whose dashboard is at `address`.

    Raises:
        UserError: nobody listens there, it is no Ray cluster, or it refuses the token.
    """
    jobs: Jobs = load("evomerge.cluster.ray_jobs:RayJobs")(address)
    return jobs


def find_job(jobs: Jobs, named: str) -> SubmittedJob:
    """The job of this id, else the latest of the study of this name.

    Raises:
        UserError: there is none.
    """
    there = jobs.all()
    for job in reversed(there):
        if job.id == named:
            return job
    for job in reversed(there):
        if job.study == named:
            return job
    known = {job.id for job in there} | {job.study for job in there}
    raise UserError(f"{named}: no such search at {jobs.address}; {did_you_mean(named, known)}")
