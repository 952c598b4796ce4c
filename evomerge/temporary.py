"""Temporary folders that nobody else reads, and that outlive a killed process only until the next.

They lie in the system's temporary directory, for this user only. A process that is killed leaves
its own there, and the next one that needs such a folder removes it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evomerge.held_folders import HeldFolder, sweep

__all__ = ["new_temporary_folder", "temporary_folder"]


def new_temporary_folder(name: str, within: Path | None = None) -> HeldFolder:
    """A new folder, `evomerge-NAME...`, which whoever asks for it removes (`HeldFolder.remove`).

    `within`: where; the system's temporary directory where left out.

    Raises:
        OSError: as the file system does.
    """
    place = within or Path(tempfile.gettempdir())
    sweep(place, prefix=_PREFIX)
    return HeldFolder(place, f"{_PREFIX}{name}", mode=0o700)


@contextmanager
def temporary_folder(name: str, within: Path | None = None) -> Iterator[Path]:
    """As `new_temporary_folder`, removed when the block ends."""
    held = new_temporary_folder(name, within)
    try:
        yield held.path
    finally:
        held.remove()


_PREFIX = "evomerge-"
