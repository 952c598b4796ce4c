"""The right to write a study: one process at a time, given back by the kernel when it dies."""

from __future__ import annotations

import fcntl
import os
import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from evomerge.errors import SourceError, UserError
from evomerge.locks import keep, release
from evomerge.reading.files import read_text
from evomerge.reading.own_files import open_own

__all__ = ["Writer", "WriterLock", "writer_of"]


class WriterLock:
    """An exclusive `flock` on a file; the file names its holder for whoever is refused.

    Raises:
        UserError: another process (or another object of this one) holds it, or the file cannot
            be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            descriptor = open_own(path, os.O_RDWR | os.O_CREAT)
        except OSError as problem:
            raise UserError(f"{path.parent}: cannot be written ({problem.strerror})") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 200).decode(errors="replace") or "another process"
            os.close(descriptor)
            raise UserError(
                f"{path.parent}: the study is being written by {holder}; "
                "stop that search first, or wait for its end"
            ) from None
        except OSError as problem:
            os.close(descriptor)
            raise UserError(
                f"{path.parent}: this disk has no locks ({problem.strerror}), so that two searches"
                " could write the study; put it on another one (Lustre: mounted with `flock`), or"
                " into a database (`storage`)"
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
        self._descriptor = descriptor
        keep(descriptor)

    def release(self) -> None:
        """Let the next writer in; once is enough, and in a forked child nothing is left to do."""
        release(self._descriptor)


@dataclass(frozen=True)
class Writer:
    """Who wrote to a study last, and whether it still may."""

    name: str
    """`process 12 on host`; for a person."""
    is_writing: bool
    """Whether it holds the lock; of a process on another machine it is assumed."""


def writer_of(path: Path) -> Writer:
    """Who holds a study's lock, or held it last. The lock itself is not touched: who tries whether
    it is free holds it for a moment, in which nobody could begin to search."""
    said, inode = "", -1
    with suppress(OSError):  # there is none yet: nobody has written
        descriptor = open_own(path)
        with os.fdopen(descriptor, errors="replace") as file:
            said, inode = file.read(200), os.fstat(descriptor).st_ino
    if not said:
        return Writer("nobody", False)
    is_here = said.rpartition(" on ")[2] == socket.gethostname()
    return Writer(said, not is_here or inode in _locked())


def _locked() -> set[int]:
    """Inodes of the files that processes of this machine have locked whole; their devices have
    other numbers there than a file tells, on some file systems."""
    try:
        table = read_text(Path("/proc/locks"))
    except SourceError:
        return set()
    return {int(inode) for inode in re.findall(r"FLOCK .*:(\d+) ", table)}
