"""Folders that belong to one process: their name says to which, and a lock says whether it lives.

The name ends in `HOST-BOOT-PIDS-PID.TOKEN`. While its process lives, a folder is locked (`flock`);
the kernel lets go when the process ends, however it ends. So a number that another process has by
now misleads nobody, nor does one of another container, where numbers mean something else. (Systemd
leaves locked folders alone, too, when it cleans up old files.)

What is swept was left: it is a real folder of this user, made on this machine, and nobody holds it.
A lock says nothing about other machines, nor about this one before it was started anew: a folder
from there is swept only if the machine had this one's name, and nothing has changed in it since.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from evomerge.locks import keep, release

__all__ = ["HeldFolder", "is_gone", "left", "sweep", "writer_name"]


class HeldFolder:
    """A new folder of this process, until it is released, or the process ends."""

    def __init__(self, within: Path, name: str, suffix: str = "", *, mode: int = 0o777) -> None:
        """Make it: `NAME.` and the writer's name and the suffix; `mode` is that of the folder.

        Raises:
            OSError: as the file system does.
        """
        self._process = os.getpid()
        self._descriptor: int | None = None
        while True:
            self.path = within / f"{name}.{writer_name()}{suffix}"
            self.path.mkdir(mode)
            try:
                descriptor = _lock(self.path)
            except OSError:  # a disk without locks: nobody will sweep it
                return
            if descriptor is None:  # another process swept it before it was locked
                continue
            if _is_at(descriptor, self.path):
                self._descriptor = descriptor
                keep(descriptor)
                return
            os.close(descriptor)

    def release(self) -> None:
        """Let it go; it stays where it is, perhaps under another name."""
        if self._descriptor is not None:
            release(self._descriptor)

    def remove(self) -> None:
        """Remove it with all that is in it; a forked child removes nothing."""
        if self._process == os.getpid():
            shutil.rmtree(self.path, ignore_errors=True)
        self.release()


class _Writer(NamedTuple):
    """Which process a name belongs to."""

    host: str
    boot: str
    pids: str
    process: int

    @classmethod
    def of(cls, name: str) -> _Writer | None:
        """The one whose name ends this one, but for a suffix."""
        match = _WRITER.search(name)
        return None if match is None else cls(match[1], match[2], match[3], int(match[4]))


_WRITER = re.compile(
    r"(?:^|\.)([^./]+)-([0-9a-f]{8})-([0-9a-f]+)-([0-9]+)\.[0-9a-f]{8}(?:\.[a-z]+)?$"
)


def writer_name() -> str:
    """A name that nobody else has, and that says which process it belongs to."""
    pids = 0
    with suppress(OSError):  # there is no /proc
        pids = Path("/proc/self/ns/pid").stat().st_ino
    return f"{_host()}-{_boot()}-{pids:x}-{os.getpid()}.{secrets.token_hex(4)}"


def is_gone(name: str) -> bool:
    """Whether the process of a `writer_name` was one of this machine, and is no more.

    Of a process in another container nothing is known.
    """
    writer, here = _Writer.of(name), _Writer.of(writer_name())
    if writer is None or here is None or writer.host != here.host:
        return False
    if writer.boot != here.boot:
        return True
    return writer.pids == here.pids and not _is_alive(writer.process)


@contextmanager
def left(path: Path) -> Iterator[bool]:
    """Whether a folder was left by a process that is no more; within, nobody else takes it up."""
    descriptor = _taken(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def sweep(folder: Path, *, prefix: str = "", suffix: str = "") -> None:
    """Remove what processes that are no more have left in a folder, as far as it can be removed.

    `prefix`, `suffix`: only what has a name that begins and ends so.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208 - of many files no path is made
    except OSError:
        return
    for name in names:
        if not (name.startswith(prefix) and name.endswith(suffix)):
            continue
        with left(folder / name) as is_left:
            if is_left:
                shutil.rmtree(folder / name, ignore_errors=True)


def _taken(path: Path) -> int | None:
    """The lock of a folder that was left; None where it was not, or where nobody can tell."""
    writer = _Writer.of(path.name)
    if writer is None:
        return None
    try:
        there = path.lstat()
        if not stat.S_ISDIR(there.st_mode) or there.st_uid != os.geteuid():
            return None
        if writer.boot != _boot() and (writer.host != _host() or there.st_mtime >= _started()):
            return None
        return _lock(path)
    except OSError:
        return None


def _lock(path: Path) -> int | None:
    """Lock a folder: the open folder; None where another process has the lock, or it is gone.

    Where the disk has no locks nobody holds one, and nobody can take what another one left.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        os.close(descriptor)
        if problem.errno == errno.EWOULDBLOCK:
            return None
        raise
    return descriptor


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _host() -> str:
    return re.sub(r"[^\w-]", "_", socket.gethostname())[:32] or "_"


@cache
def _boot() -> str:
    """Eight digits that this machine has until it is started anew; containers on it share them."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    except OSError:
        return "0" * 8


def _started() -> float:
    """When this machine was started, in seconds since 1970."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
