"""The files that a submitted search brings along: where they last, on every node that needs them.

Ray unpacks what was sent in a folder of the job's own on each node, and removes it once no job uses
it. A study has to find its files again later, and workers have to find them where the driver does:
so they are kept in one place for good, whose name has their digest. Where that place is on a shared
disk the driver alone writes it; else each node's first worker does, from what Ray unpacked there.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

from evomerge.errors import ConfigError, UserError
from evomerge.publish import whole_folder

__all__ = ["FILES", "SENT", "VARIABLE", "environment", "have_job_files", "keep_files"]

VARIABLE = "EVOMERGE_JOB_FILES"
"""Names the place; a submitted search's driver sets it for its workers."""

SENT = "evomerge-job"
"""The one entry of the folder that Ray unpacks. That is on Python's path, and no module has this
name."""
FILES = "files"
"""In it, the files."""


def environment() -> dict[str, str]:
    """What workers of this process need in their environment; nothing where it brought no files."""
    return {VARIABLE: os.environ[VARIABLE]} if VARIABLE in os.environ else {}


def have_job_files(around: Mapping[str, str] = os.environ) -> None:
    """Put the job's files into their place if they are not there; called in a worker's process.

    Raises:
        ConfigError: they were not sent to this node, or it cannot keep them.
    """
    place = around.get(VARIABLE)
    if place is None or Path(place).is_dir():
        return
    keep_files(Path.cwd() / SENT / FILES, Path(place))


def keep_files(sent: Path, place: Path) -> None:
    """Copy what was sent to its place, whole or not at all; what is there stays.

    Raises:
        ConfigError: there is nothing to copy, or the place cannot be written.
    """
    host = socket.gethostname()
    if not sent.is_dir():
        raise ConfigError(
            f"{place}: the job's files are not on the node {host}, and were not sent to it; go on"
            " with `evomerge submit`"
        )
    try:
        with whole_folder(place) as partial:
            shutil.copytree(sent, partial, dirs_exist_ok=True)
    except UserError as problem:
        if not place.is_dir():  # else another process was quicker
            raise ConfigError(f"on the node {host}: {problem}") from None
