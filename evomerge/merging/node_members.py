"""How many caches of statistics this machine has: each gets an equal share of the memory for them.

Each holds a lock on a file of its own in one folder, which the system lets go when the process
ends, however it ends. So nobody has to be told, and a crash leaves nothing that counts.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
import tempfile
import weakref
from pathlib import Path

__all__ = ["NodeMember"]


class NodeMember:
    """One of the caches, until it is collected or its process ends."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder`: where they meet; one for each user of the machine where left out."""
        self._folder = folder or Path(tempfile.gettempdir()) / f"evomerge-{os.geteuid()}" / "caches"
        self._counts = self._join()

    def count(self) -> int:
        """How many there are, this one among them; 1 where the folder cannot be written.

        Files of those that are no more are removed.
        """
        if not self._counts:
            return 1
        alive = 0
        for path in self._folder.iterdir():
            try:
                with path.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink(missing_ok=True)
            except BlockingIOError:
                alive += 1
            except OSError:
                continue
        return max(alive, 1)

    def _join(self) -> bool:
        try:
            self._folder.parent.mkdir(0o700, parents=True, exist_ok=True)
            self._folder.mkdir(0o700, exist_ok=True)
            if not (_is_ours(self._folder.parent) and _is_ours(self._folder)):
                return False
            # Locked under another name first: a file that can be seen is one that counts.
            name = f"{os.getpid()}-{secrets.token_hex(4)}"
            hidden = self._folder.parent / f".{name}"
            descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            weakref.finalize(self, os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(self._folder / name)
        except OSError:
            return False
        return True


def _is_ours(folder: Path) -> bool:
    """Whether nobody else can put a name into it: in a temporary directory that all users share,
    somebody else may have made a folder, or a link, of its name."""
    there = folder.lstat()
    return (
        stat.S_ISDIR(there.st_mode)
        and there.st_uid == os.geteuid()
        and not there.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )
