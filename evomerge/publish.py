"""Publish whole or not at all: what a reader can see is complete, whenever the writer dies."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["PARTIAL", "sync_folder", "write_whole"]

PARTIAL = ".partial"
"""The suffix of what is still being written; what a dead writer left behind carries it too."""


def write_whole(path: Path, data: bytes) -> None:
    """Put `data` at `path`: the old content or the new one is there, never a part.

    Raises:
        OSError: as the file system does; `path` is as it was.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable: a rename alone may be lost with the power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
