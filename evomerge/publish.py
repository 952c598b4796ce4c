"""Publish whole or not at all: what a reader can see is complete, whenever the writer dies.

Files and folders are written under another name beside the place where they belong, made durable
(fsync), and renamed. That name says whose it is: `.NAME.HOST-PID.TOKEN.partial`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evomerge.errors import UserError

__all__ = ["PARTIAL", "sweep", "whole_file", "whole_folder", "write_whole"]

PARTIAL = ".partial"
"""The suffix of what is still being written; what a dead writer left behind carries it too."""


def write_whole(path: Path, data: bytes) -> None:
    """Put `data` at `path`: the old content or the new one is there, never a part.

    Raises:
        OSError: as the file system does; `path` is as it was.
    """
    with whole_file(path) as partial:
        partial.write_bytes(data)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file to write, which takes the place of `path` only if the block ends well.

    Raises:
        OSError: as the file system does; `path` is as it was.
    """
    partial = _partial(path)
    try:
        yield partial
        _sync(partial)
        partial.replace(path)
        _sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(out: Path, *, size: int = 0, last: str = "config.json") -> Iterator[Path]:
    """A folder to fill, which becomes `out` only if the block ends well.

    `size`: bytes that have to be free to begin with. An `out` that exists and is empty (a mount or
    a working directory, say) is filled, not replaced: then the entry called `last` comes last, so a
    reader who waits for that one sees all. What dead writers of the same name left is removed.

    Raises:
        UserError: `out` exists and is not an empty folder, or cannot be written: the disk is full,
            say, or has no room for `size` bytes.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: exists already; name a new folder or remove it")
    given, out = out, out.absolute()  # messages call it what the user called it
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        sweep(out.parent, out.name)
        if (free := shutil.disk_usage(out.parent).free) < size:
            needed = f"{size / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free"
            raise UserError(f"{given}: what is written takes {needed}")
        folder = _partial(out)
        folder.mkdir()
        try:
            yield folder
            for path in sorted(folder.rglob("*")):
                _sync(path)
            _sync(folder)
            _move(folder, out, last)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as problem:
        raise UserError(f"{given}: cannot be written ({problem})") from None


def sweep(folder: Path, name: str = "*") -> None:
    """Remove what processes of this machine that are no more have begun in a folder.

    `name`: only what was to have this name.
    """
    for partial in folder.glob(f".{name}.*{PARTIAL}"):
        host, _, process = partial.name.removesuffix(PARTIAL).split(".")[-2].rpartition("-")
        if host == _host() and process.isdecimal() and not _is_alive(int(process)):
            if partial.is_dir():
                shutil.rmtree(partial, ignore_errors=True)
            else:
                partial.unlink(missing_ok=True)


def _partial(path: Path) -> Path:
    token = secrets.token_hex(4)
    return path.with_name(f".{path.name}.{_host()}-{os.getpid()}.{token}{PARTIAL}")


def _host() -> str:
    return socket.gethostname().replace(".", "_")


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _move(folder: Path, out: Path, last: str) -> None:
    if out.exists():
        for entry in sorted(folder.iterdir(), key=lambda entry: (entry.name == last, entry.name)):
            entry.rename(out / entry.name)
        _sync(out)
    else:
        folder.rename(out)
    _sync(out.parent)


def _sync(path: Path) -> None:
    """Make content or names durable: a rename alone may be lost with the power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
