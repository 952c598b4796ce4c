"""Files and folders of a study or an output: opened where they lie, never through a link.

A study may come from somebody else, and a link in it may point to any file of whoever opens it. So
the check and the opening are one step: the kernel refuses the link, and what was opened is looked
at, not what has its name a moment later.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["open_own", "own_folder"]

_LINK = "it is a link, and what belongs to a study lies in its folder"


def open_own(path: Path, flags: int = os.O_RDONLY, mode: int = 0o644) -> int:
    """A descriptor of a regular file, which `path` names itself and not by a link.

    Raises:
        OSError: as the file system does; ELOOP: it is a link; EINVAL: it is a pipe, a device or a
            folder, which is not waited for.
    """
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, mode)
    except OSError as problem:
        if problem.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, _LINK) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file")
    return descriptor


@contextmanager
def own_folder(path: Path) -> Iterator[Path]:
    """The folder itself, as a path that leads to it whatever is put in its place meanwhile.

    Linux has such a path for each open descriptor; it means nothing to another process.

    Raises:
        OSError: as the file system does; ELOOP: it is a link; ENOTDIR: it is no folder.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except OSError as problem:
        if problem.errno in (errno.ELOOP, errno.ENOTDIR) and path.is_symlink():
            raise OSError(errno.ELOOP, _LINK) from None
        raise
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
