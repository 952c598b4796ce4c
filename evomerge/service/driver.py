"""The driver of a submitted search, on the cluster: `python -m evomerge.service.driver`.

Ray starts it in a copy of what was sent. It sees that the versions agree, puts the job's files
where they last, and becomes the ordinary command: `evomerge search`, or `evomerge resume` where the
study is there already, which refuses the study of another job.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from evomerge import __version__
from evomerge.cluster.job_files import FILES, SENT, VARIABLE, keep_files
from evomerge.config import read_job
from evomerge.errors import EvomergeError, UserError
from evomerge.publish import write_whole
from evomerge.reading.files import expanded, is_there
from evomerge.reading.json_text import read_object
from evomerge.service.bundle import placed
from evomerge.service.submission import SUBMISSION, Submission
from evomerge.study.fetching import is_begun
from evomerge.study.folder import StudyFolder
from evomerge.trust import keep_out_working_directory
from evomerge.value import parse

__all__ = ["command"]

KEPT = ".evomerge-files"
"""Beside the studies: the files of their jobs, each under its digest."""

_COMMAND = "from evomerge.commands.main import main; main()"


def command(sent: Path) -> Sequence[str]:
    """The arguments of `evomerge` that run what was sent; its files are in their place by then.

    Raises:
        UserError: evomerge has another version here, or a file has no place.
    """
    told = read_object(sent / SUBMISSION)
    if (theirs := told.get("evomerge")) != __version__:  # whose submission may say other things
        raise UserError(
            f"the search was submitted by evomerge {theirs}, and the node"
            f" {socket.gethostname()} has evomerge {__version__}; install one version on both"
        )
    submission = parse(Submission, told, origin=SUBMISSION)
    folder = expanded(submission.folder)
    if submission.digest is not None:
        place = folder.parent / KEPT / submission.digest[:16]
        keep_files(sent / FILES, place)
        os.environ[VARIABLE] = str(place)
    else:
        place = folder
    file = sent / "job.json"
    write_whole(file, json.dumps(placed(submission.job, place), indent=2).encode())
    job = read_job(file)
    begun = is_there(StudyFolder(folder).identity)
    if not begun and job.artifacts is not None:
        begun = is_begun(job.artifacts, job.name)
    return ["resume" if begun else "search", str(file), "--out", str(folder)]


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
        f"evomerge driver: evomerge {__version__}, Ray {version('ray')}, Python"
        f" {platform.python_version()} on {socket.gethostname()}; study in {arguments[-1]}",
        flush=True,
    )
    os.execv(sys.executable, [sys.executable, "-c", _COMMAND, *arguments])


def _said(sentence: str, code: int) -> int:
    print(f"evomerge: {sentence}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
