"""Publish whole or not at all: what a reader can see is complete, whenever the writer dies.

Files and folders are written in a folder beside the place where they belong, made durable (fsync),
and renamed. That folder says whose it is (`.NAME.WRITER.partial`, see `evomerge.held_folders`), and
whoever writes next beside it removes what writers that died have left. Of two writers of one name,
one comes first, and the other is refused.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from evomerge.errors import SourceError, UserError
from evomerge.held_folders import HeldFolder, left, sweep
from evomerge.reading.files import is_there
from evomerge.reading.json_text import read_json

__all__ = [
    "PARTIAL",
    "check_writable",
    "is_free",
    "sweep_partial",
    "whole_file",
    "whole_folder",
    "write_whole",
]

PARTIAL = ".partial"
"""The suffix of what is still being written; what a dead writer left behind carries it too."""

_MOVING = ".moved"
_LIST = "names.json"
_TRIED = "tried"
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.EWOULDBLOCK)


def write_whole(path: Path, data: bytes, *, sweeps: bool = True) -> None:
    """Put `data` at `path`: the old content or the new one is there, never a part.

    `sweeps`: as in `whole_file`.

    Raises:
        OSError: as the file system does; `path` is as it was.
    """
    with whole_file(path, sweeps=sweeps) as partial:
        partial.write_bytes(data)


@contextmanager
def whole_file(path: Path, *, sweeps: bool = True) -> Iterator[Path]:
    """A file to write, which takes the place of `path` only if the block ends well.

    `sweeps`: whether to look for what dead writers have left beside it; who writes a file a
    candidate into one folder does so once.

    Raises:
        OSError: as the file system does; `path` is as it was.
    """
    if sweeps:
        sweep_partial(path.parent)
    held = HeldFolder(path.parent, f".{path.name}", PARTIAL)
    try:
        partial = held.path / path.name
        yield partial
        _sync(partial)
        partial.replace(path)
        _sync(path.parent)
    finally:
        held.remove()


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
        sweep_partial(out.parent)
        if (free := shutil.disk_usage(out.parent).free) < size:
            needed = f"{size / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free"
            raise UserError(f"{given}: what is written takes {needed}")
        held = HeldFolder(out.parent, f".{out.name}", PARTIAL)
        folder = held.path
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
            held.remove()
    except OSError as problem:
        raise UserError(f"{given}: cannot be written ({problem.strerror or problem})") from None


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


def check_writable(out: Path) -> None:
    """Try whether something may be written as `out`; nothing is left of that.

    Raises:
        OSError: as the file system does; its `filename` is the folder where it was tried.
    """
    out = out.absolute()
    missing = [place for place in (out, *out.parents) if not is_there(place)]
    there = missing[-1].parent if missing else out
    try:
        HeldFolder(there, f".{missing[-1].name if missing else _TRIED}", PARTIAL).remove()
    except OSError as problem:
        problem.filename = str(there)
        raise


def sweep_partial(folder: Path) -> None:
    """Remove what processes that are no more have begun in a folder."""
    sweep(folder, prefix=".", suffix=PARTIAL)


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
    moving = HeldFolder(out, _MOVING, PARTIAL)
    try:
        moved = moving.path / _LIST
        moved.write_text(json.dumps([entry.name for entry in entries]))
        _sync(moved)
        _sync(moving.path)
        for entry in entries:
            entry.rename(out / entry.name)
    except BaseException:
        for entry in entries:
            _remove(out / entry.name)
        raise
    finally:
        moving.remove()
    _sync(out)


def _undo_moves(out: Path) -> None:
    for moving in out.glob(f"{_MOVING}.*{PARTIAL}"):
        with left(moving) as is_left:
            if not is_left:
                continue
            with suppress(OSError, SourceError):
                names = read_json(moving / _LIST, follow=False)
                for name in names if isinstance(names, list) else ():
                    # The list may be anybody's: it is obeyed in the folder that it lies in.
                    if isinstance(name, str) and Path(name).name == name not in ("", ".."):
                        _remove(out / name)
            shutil.rmtree(moving, ignore_errors=True)


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
