"""A study brought here from the cluster that it lies on."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import shlex
import tarfile
import time
from collections.abc import Iterator
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

_NO_PLACE = "could not be scheduled"
"""What Ray says of a job whose node has left."""
START_S = 60.0
"""How long the job that sends the study may wait for its place on the node that has it."""


def fetch(jobs: Jobs, job: SubmittedJob, out: Path) -> None:
    """Copy the study of a search, which may go on meanwhile, into a new or empty folder.

    A small job on the search's own node prints it, which is how it comes here: through the address
    of the dashboard, whatever lies between. Files that are kept beside a database are read where
    they are kept.

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
        _receive(jobs, job, archive)
        with whole_folder(out, last=StudyFolder(out).identity.name) as folder:
            with tarfile.open(archive, "r:gz") as packed:
                packed.extractall(folder, filter="data")
            StudyFolder(folder).read_identity()


def _receive(jobs: Jobs, job: SubmittedJob, archive: Path) -> None:
    """Have the study packed where the search ran, or, if that node has left, where drivers run."""
    asked = [f"fetch-{job.id}-{secrets.token_hex(4)}"]
    # Packing expands what begins with `~`, as its user.
    python, folder = shlex.quote(job.python), shlex.quote(job.folder)
    entrypoint = f"exec {python} -m evomerge.service.packing {folder}"
    try:
        jobs.submit(asked[0], entrypoint, files=None, environment={}, metadata={}, node=job.node)
        if not _has_begun(jobs, asked[0]) and job.node is not None:
            with suppress(EvomergeError):
                jobs.stop(asked[0])
            asked.append(f"{asked[0]}-head")
            jobs.submit(asked[1], entrypoint, files=None, environment={}, metadata={})
        _write(jobs, asked[-1], archive)
    finally:
        for id_ in asked:
            with suppress(EvomergeError):
                jobs.forget(id_)


def _has_begun(jobs: Jobs, id_: str) -> bool:
    """Whether it runs or has run; not where it finds no place."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        job = jobs.get(id_)
        if job is not None and job.state != "PENDING":
            return not (job.state == "FAILED" and _NO_PLACE in job.message)
        time.sleep(0.2)
    return False


def _write(jobs: Jobs, id_: str, archive: Path) -> None:
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
