"""Publish whole or not at all: what a reader can see is complete, whenever the writer dies.

Files and folders are written under another name beside the place where they belong, made durable
(fsync), and renamed. That name says whose it is: `.NAME.HOST-PID.TOKEN.partial`. Of two writers of
one name, one comes first, and the other is refused.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import json
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from evomerge.errors import SourceError, UserError
from evomerge.reading.json_text import read_json

__all__ = [
    "PARTIAL",
    "is_free",
    "is_left",
    "sweep",
    "writer_name",
    "whole_file",
    "whole_folder",
    "write_whole",
]

PARTIAL = ".partial"
"""The suffix of what is still being written; what a dead writer left behind carries it too."""

_MOVED = "moved"
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.EWOULDBLOCK)


def write_whole(path: Path, data: bytes) -> None:
    """Put `data` at `path`: the old content or the new one is there, never a part.

    Raises:
        OSError: as the file system does; `path` is as it was.
    """
    with whole_file(path) as partial, partial.open("xb") as file:  # "x" follows no link
        file.write(data)


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
        UserError: `out` exists and is not an empty folder, or another process made it meanwhile, or
            it cannot be written: the disk is full, say, or has no room for `size` bytes.
    """
    if not is_free(out):
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
            try:
                _move(folder, out, last)
            except OSError as problem:
                if problem.errno in _TAKEN:
                    raise UserError(
                        f"{given}: another process has made it meanwhile; name another folder"
                    ) from None
                raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as problem:
        raise UserError(f"{given}: cannot be written ({problem})") from None


def is_free(out: Path) -> bool:
    """Whether a folder may be published as `out`: nothing is there, or an empty folder.

    What a writer that died had begun to move into it is removed.
    """
    if not os.path.lexists(out):
        return True
    if not out.is_dir():
        return False
    _undo_moves(out)
    return not any(out.iterdir())


def sweep(folder: Path, name: str | None = None) -> None:
    """Remove what processes of this machine that are no more have begun in a folder.

    `name`: only what was to have this name.
    """
    pattern = "*" if name is None else glob.escape(name)
    for partial in folder.glob(f".{pattern}.*{PARTIAL}"):
        if is_left(partial.name):
            _remove(partial)


def is_left(name: str) -> bool:
    """Whether what has a name of `writer_name` was left by a process of this machine that is no
    more."""
    parts = name.removesuffix(PARTIAL).split(".")
    host, _, process = parts[-2].rpartition("-") if len(parts) > 1 else ("", "", "")
    return host == _host() and process.isdecimal() and not _is_alive(int(process))


def writer_name() -> str:
    """A name that nobody else has, and that says which process it belongs to: HOST-PID.TOKEN."""
    return f"{_host()}-{os.getpid()}.{secrets.token_hex(4)}"


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.{writer_name()}{PARTIAL}")


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
        with _claimed(out):
            _fill(out, folder, last)
    else:
        folder.rename(out)  # on a folder that came to be meanwhile it fails, unless that is empty
    _sync(out.parent)


@contextmanager
def _claimed(out: Path) -> Iterator[None]:
    """A folder that is empty, and that no other process fills now; the kernel gives it back.

    Raises:
        OSError: ENOTEMPTY, or EWOULDBLOCK where another process fills it.
    """
    descriptor = os.open(out, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if any(out.iterdir()):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
        yield
    finally:
        os.close(descriptor)


def _fill(out: Path, folder: Path, last: str) -> None:
    """Move all entries, one by one, with a list beside them by which a half-done move is undone."""
    entries = sorted(folder.iterdir(), key=lambda entry: (entry.name == last, entry.name))
    moved = _partial(out / _MOVED)
    moved.write_text(json.dumps([entry.name for entry in entries]))
    _sync(moved)
    for entry in entries:
        entry.rename(out / entry.name)
    moved.unlink()
    _sync(out)


def _undo_moves(out: Path) -> None:
    for moved in out.glob(f".{_MOVED}.*{PARTIAL}"):
        if not is_left(moved.name):
            continue
        with suppress(OSError, SourceError):
            names = read_json(moved, follow=False)
            for name in names if isinstance(names, list) else ():
                # The list may be anybody's: it is obeyed in the folder that it lies in.
                if isinstance(name, str) and Path(name).name == name not in ("", ".."):
                    _remove(out / name)
        _remove(moved)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Make content or names durable: a rename alone may be lost with the power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
