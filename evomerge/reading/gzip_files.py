"""Compressed files, unpacked up to a limit: a few bytes may hold more than memory has."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from evomerge.errors import EvomergeError, RecordError
from evomerge.reading.files import LARGE, open_file

__all__ = ["read_gzip"]


def read_gzip(
    path: Path,
    *,
    called: Path | None = None,
    most: int = LARGE,
    error: type[EvomergeError] = RecordError,
) -> bytes:
    """What a gzip file of a study holds, at most `most` bytes; a link is not followed. Messages
    name it `called`.

    Raises:
        EvomergeError: of the class `error`: it cannot be read, is damaged, or holds more.
    """
    called = called or path
    with open_file(path, called=called, follow=False, error=error) as file:
        try:
            content = gzip.GzipFile(fileobj=file).read(most + 1)
        except (gzip.BadGzipFile, EOFError, zlib.error):
            raise error(f"{called}: is damaged") from None
    if len(content) > most:
        raise error(
            f"{called}: holds more than {most >> 20} MiB; nothing that is written here does"
        )
    return content
