"""A study brought here from the cluster that it lies on."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import shlex
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from evomerge.cluster.jobs import Jobs, SubmittedJob
from evomerge.errors import EvomergeError, InfrastructureError, UserError
from evomerge.publish import whole_folder
from evomerge.service.packing import DATA, END
from evomerge.study.artifact_url import study_url
from evomerge.study.fetching import fetch_study
from evomerge.study.folder import StudyFolder
from evomerge.temporary import temporary_folder

__all__ = ["fetch"]

START_S = 60.0
"""How long the job that sends the study may wait for its place on the node that has it."""


def fetch(
    jobs: Jobs, job: SubmittedJob, out: Path, heard: Callable[[int], None] = lambda received: None
) -> None:
    """Copy the study of a search, which may go on meanwhile, into a new or empty folder.

    A small job on the search's own node prints it, which is how it comes here: through the address
    of the dashboard, whatever lies between. Files that are kept beside a database are read where
    they are kept.

    Args:
        heard: is told how many bytes have come.

    Raises:
        UserError: there is no study (yet), or `out` holds something.
        InfrastructureError: the cluster cannot send it.
    """
    StudyFolder(out).check_new()
    if job.artifacts is not None:
        fetch_study(study_url(job.artifacts, job.study), out, everything=True)
        return
    with temporary_folder("fetch") as place:
        archive = place / "study.tar.gz"
        _receive(jobs, job, archive, heard)
        with whole_folder(out, last=StudyFolder(out).identity.name) as folder:
            with tarfile.open(archive, "r:gz") as packed:
                packed.extractall(folder, filter="data")
            StudyFolder(folder).read_identity()


def _receive(jobs: Jobs, job: SubmittedJob, archive: Path, heard: Callable[[int], None]) -> None:
    """Have the study packed where the search ran, or, if that node has left, where drivers run."""
    id_ = f"fetch-{job.id}-{secrets.token_hex(4)}"
    entrypoint = f"exec {shlex.quote(job.python)} -m evomerge.service.packing {_quoted(job.folder)}"
    try:
        jobs.submit(id_, entrypoint, files=None, environment={}, metadata={}, node=job.node)
        if not _has_begun(jobs, id_) and job.node is not None:
            with suppress(EvomergeError):
                jobs.stop(id_)
            id_ = f"{id_}-head"
            jobs.submit(id_, entrypoint, files=None, environment={}, metadata={})
        _write(jobs, id_, archive, heard)
    finally:
        with suppress(EvomergeError):
            jobs.forget(id_)


def _has_begun(jobs: Jobs, id_: str) -> bool:
    """Whether it runs or has run; not where it finds no place."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        state = job.state if (job := jobs.get(id_)) else "PENDING"
        if state != "PENDING":
            return not (state == "FAILED" and DATA not in jobs.logs(id_) and _unplaced(jobs, id_))
        time.sleep(0.2)
    return False


def _unplaced(jobs: Jobs, id_: str) -> bool:
    job = jobs.get(id_)
    return job is not None and "could not be scheduled" in job.message


def _write(jobs: Jobs, id_: str, archive: Path, heard: Callable[[int], None]) -> None:
    digest, received, other = hashlib.sha256(), 0, []
    with archive.open("wb") as file:
        for line in _lines(jobs.follow(id_)):
            if line.startswith(DATA):
                try:
                    part = base64.b64decode(line.removeprefix(DATA).strip(), validate=True)
                except binascii.Error:
                    break
                digest.update(part)
                received += file.write(part)
                heard(received)
            elif line.startswith(END):
                if line.split()[1:] == [digest.hexdigest(), str(received)]:
                    return
                break
            elif line.startswith("evomerge: "):
                other.append(line.removeprefix("evomerge: "))
    if other:
        raise UserError(f"on the cluster: {other[-1]}")
    job = jobs.get(id_)
    said = job.message if job is not None else "it is not known any more"
    raise InfrastructureError(
        f"{jobs.address}: the study has not come whole ({received} bytes; {said[:300]})"
    )


def _lines(pieces: Iterator[str]) -> Iterator[str]:
    """Whole lines of a text that comes in pieces."""
    rest = ""
    for piece in pieces:
        *lines, rest = (rest + piece).split("\n")
        yield from lines
    yield rest


def _quoted(folder: str) -> str:
    """For a shell; `~` is packing's to expand."""
    return shlex.quote(folder)
