"""The bytes and the text of a file that anybody may have written.

Only a regular file is read (a pipe would wait for ever, a device never ends), and only up to a
limit. Every other module that reads a stranger's file goes through here; a test sees to it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from evomerge.errors import EvomergeError, SourceError
from evomerge.reading.own_files import open_own

__all__ = [
    "LARGE",
    "USUAL",
    "expanded",
    "is_file",
    "is_folder",
    "is_there",
    "open_file",
    "read_bytes",
    "read_text",
    "resolved",
]

USUAL = 64 << 20
"""Most bytes of a file of settings or of an index: the largest index that the hub has is 20 MB."""
LARGE = 256 << 20
"""Most bytes of a tokenizer or of texts: Gemma's tokenizer.json has 33 MB."""


def is_there(path: Path) -> bool:
    """Whether something lies there; a name that no file can have is nowhere."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises where a name is too long


def is_file(path: Path) -> bool:
    """Whether a file lies there; a name that no file can have is nowhere."""
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises where a name is too long


def is_folder(path: Path) -> bool:
    """Whether a folder lies there; a name that no folder can have is nowhere."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises where a name is too long


def expanded(place: str) -> Path:
    """The path that somebody wrote, `~` being the home of a user that there is."""
    return Path(os.path.expanduser(place))  # noqa: PTH111 - Path.expanduser raises without a home


def resolved(path: Path) -> Path:
    """The path without links and `..`; as it is, where no file can have that name, or where links
    lead in a circle: nothing is found there by whoever looks."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        return path.absolute()


@contextmanager
def open_file(
    path: Path,
    *,
    follow: bool = True,
    called: Path | None = None,
    error: type[EvomergeError] = SourceError,
) -> Iterator[BinaryIO]:
    """A regular file, open for reading; a link is followed to one, or refused without `follow`.
    Messages name it `called`.

    Raises:
        EvomergeError: of the class `error`: it is missing, no file, or may not be read.
    """
    called = called or path
    try:
        # A pipe without a writer would block an open that is not told otherwise.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags) if follow else open_own(path)
    except FileNotFoundError:
        raise error(f"{called}: no such file") from None
    except (OSError, ValueError) as problem:
        raise error(f"{_short(called)}: cannot be read ({_reason(problem)})") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        kind = _kind(descriptor)
        os.close(descriptor)
        raise error(f"{called}: a file is wanted, and this is {kind}")
    with open(descriptor, "rb") as file:
        try:
            yield file
        except OSError as problem:
            raise error(f"{called}: cannot be read ({_reason(problem)})") from None


def read_bytes(
    path: Path,
    *,
    most: int = USUAL,
    follow: bool = True,
    error: type[EvomergeError] = SourceError,
) -> bytes:
    """All of a file of at most `most` bytes; raises as `open_file`, and where it is larger."""
    with open_file(path, follow=follow, error=error) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise error(f"{path}: has more than {most >> 20} MiB; that is no such file")
    return content


def read_text(path: Path, *, most: int = USUAL, error: type[EvomergeError] = SourceError) -> str:
    """A file's text in UTF-8, a mark of its encoding at the beginning left out, each end of a line
    as `\\n`; raises as `read_bytes`, and where it is no text."""
    content = read_bytes(path, most=most, error=error)
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as problem:
        raise error(
            f"{path}: is no text in UTF-8 (at byte {problem.start}); save it in that encoding"
        ) from None


def _kind(descriptor: int) -> str:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a pipe" if stat.S_ISFIFO(mode) else "a device"


def _reason(problem: Exception) -> str:
    return getattr(problem, "strerror", None) or str(problem)


def _short(path: Path) -> str:
    """The path as a message shows it, where it is no name that a file can have."""
    text = repr(str(path))[1:-1]
    return text if len(text) <= 200 else f"{text[:200]}..."
