"""The driver of a submitted search, on the cluster: `python -m evomerge.service.driver`.

Ray starts it in a copy of what was sent. It sees that the versions agree, puts the job's files
where they last, and becomes the ordinary command: `evomerge search`, or `evomerge resume` where the
study is there already and is of the same job.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from evomerge import __version__
from evomerge.cluster.job_files import FILES, SENT, VARIABLE, keep_files
from evomerge.config import read_job
from evomerge.errors import EvomergeError, UserError
from evomerge.publish import write_whole
from evomerge.reading.files import expanded, is_there
from evomerge.reading.json_text import read_object
from evomerge.service.bundle import placed
from evomerge.service.submission import GREETING, SUBMISSION, Submission
from evomerge.study.folder import StudyFolder
from evomerge.study.lock import WriterLock
from evomerge.trust import keep_out_working_directory
from evomerge.value import parse

__all__ = ["command"]

KEPT = ".evomerge-files"
"""Beside the studies: the files of their jobs, each under its digest."""

_COMMAND = "from evomerge.commands.main import main; main()"
_MAY_DIFFER = ("cluster", "storage")
"""Keys of a job that say where it runs and not what it asks."""


def command(sent: Path) -> Sequence[str]:
    """The arguments of `evomerge` that run what was sent; its files are in their place by then.

    Raises:
        UserError: evomerge has another version here, or the study's folder holds another study.
    """
    submission = parse(Submission, read_object(sent / SUBMISSION), origin=SUBMISSION)
    if submission.evomerge != __version__:
        raise UserError(
            f"the search was submitted by evomerge {submission.evomerge}, and the node"
            f" {socket.gethostname()} has evomerge {__version__}; install one version on both"
        )
    folder = expanded(submission.folder)
    if submission.digest is not None:
        place = folder.parent / KEPT / submission.digest[:16]
        keep_files(sent / FILES, place)
        os.environ[VARIABLE] = str(place)
    else:
        place = folder
    file = sent / "job.json"
    write_whole(file, json.dumps(placed(submission.job, place), indent=2).encode())
    study = StudyFolder(folder)
    if not is_there(study.identity):
        return ["search", str(file), "--out", str(folder)]
    _check_same(study, read_job(file).model_dump(mode="json"))
    return ["resume", str(folder)]


def _check_same(study: StudyFolder, job: Mapping[str, Any]) -> None:
    """The study is of this job; where it is to run may have changed, and is changed in the study.

    Raises:
        UserError: it is of another.
    """
    recorded = study.read_job()
    keys = sorted({*recorded, *job} - {*_MAY_DIFFER})
    if differing := [key for key in keys if recorded.get(key) != job.get(key)]:
        raise UserError(
            f"{study.path}: holds a study of another job (it differs in {', '.join(differing)});"
            " give this one another name, or another place with --out"
        )
    if recorded.get("cluster") != job["cluster"]:
        text = json.dumps({**recorded, "cluster": job["cluster"]}, indent=2, ensure_ascii=False)
        lock = WriterLock(study.lock)
        write_whole(study.job, f"{text}\n".encode())
        lock.release()


def main() -> None:
    """Become the command."""
    keep_out_working_directory()
    sent = Path.cwd() / SENT
    try:
        arguments = command(sent)
    except UserError as problem:
        sys.exit(_said(str(problem), 2))
    except EvomergeError as problem:
        sys.exit(_said(f"{type(problem).__name__}: {problem}", 1))
    except FileNotFoundError as problem:
        sys.exit(_said(f"{problem.filename}: this is run by `evomerge submit` alone", 2))
    print(
        f"{GREETING} evomerge {__version__}, Ray {version('ray')}, Python"
        f" {platform.python_version()} on {socket.gethostname()}; study in {arguments[-1]}",
        flush=True,
    )
    os.execv(sys.executable, [sys.executable, "-c", _COMMAND, *arguments])


def _said(sentence: str, code: int) -> int:
    print(f"evomerge: {sentence}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
