"""The right to write a study: one process at a time, given back by the kernel when it dies."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

from evomerge.errors import UserError
from evomerge.locks import keep, release
from evomerge.reading.own_files import open_own

__all__ = ["WriterLock"]


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
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
        self._descriptor = descriptor
        keep(descriptor)

    def release(self) -> None:
        """Let the next writer in; once is enough, and in a forked child nothing is left to do."""
        release(self._descriptor)
