"""The compressed files of a study's folder `examples/`: each by its name, in that folder alone."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

from evomerge.errors import RecordError
from evomerge.publish import write_whole
from evomerge.reading.gzip_files import read_gzip
from evomerge.reading.own_files import own_folder

__all__ = ["KeptFiles"]


class KeptFiles:
    """Files by name. Nothing is read or written through a link, be it the folder or a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, name: str) -> Path:
        """What messages call a file.

        Raises:
            RecordError: the name leads out of the folder. Digests and parts make names, and they
                come from a record that anybody may have written.
        """
        if "/" in name or "\0" in name:
            raise RecordError(f"{self._folder}: {name!r} is no name of a file in it")
        return self._folder / name

    def write(self, name: str, content: bytes) -> int:
        """Keep `content`, compressed, whole or not at all; by how many bytes the folder grew.

        Raises:
            OSError: the disk refuses, or the folder is a link.
        """
        # The time of writing is left out: the same content makes the same file.
        data = gzip.compress(content, mtime=0)
        with own_folder(self.path(name).parent) as folder:
            try:
                before = os.lstat(folder / name).st_size
            except FileNotFoundError:
                before = 0
            write_whole(folder / name, data, sweeps=False)  # opening the study did
        return len(data) - before

    def read(self, name: str) -> bytes | None:
        """What a file holds; None where there is none.

        Raises:
            RecordError: it is a link or damaged, or the folder is a link.
        """
        path = self.path(name)
        try:
            with own_folder(self._folder) as folder:
                # A link to nowhere is there.
                if not os.path.lexists(folder / name):
                    return None
                return read_gzip(folder / name, called=path)
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise RecordError(f"{path}: cannot be read ({problem.strerror})") from None

    def about(self, suffix: str) -> dict[str, os.stat_result]:
        """Name -> size and times of every file whose name ends so.

        Raises:
            OSError: as `write`.
        """
        with own_folder(self._folder) as folder:
            entries = [entry for entry in os.scandir(folder) if entry.name.endswith(suffix)]
            return {entry.name: entry.stat(follow_symlinks=False) for entry in entries}

    def remove(self, name: str) -> None:
        """Remove a file; of a link, the link.

        Raises:
            OSError: as `write`.
        """
        with own_folder(self.path(name).parent) as folder:
            (folder / name).unlink(missing_ok=True)
