"""The compressed files of a study's folder `examples/`: each by its name, in that folder alone.

Where a study has artifacts elsewhere, each file is kept there too before anything counts on it, and
read from there where the folder lacks it.
"""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import NamedTuple

from evomerge.errors import RecordError
from evomerge.publish import write_whole
from evomerge.reading.files import LARGE
from evomerge.reading.gzip_files import read_gzip
from evomerge.reading.own_files import own_folder
from evomerge.study.artifacts import ArtifactFolder

__all__ = ["Kept", "KeptFiles"]

_ELSEWHERE = "examples"
"""The folder's name among a study's artifacts."""


class Kept(NamedTuple):
    """What is known of a file without reading it."""

    bytes: int
    written_ns: int
    """0 where it is only among the artifacts."""


class KeptFiles:
    """Files by name. Nothing is read or written through a link, be it the folder or a file."""

    def __init__(
        self, folder: Path, elsewhere: ArtifactFolder | None = None, *, alone: bool = False
    ) -> None:
        """`elsewhere`: the study's artifacts; `alone`: nobody else writes there."""
        self._folder, self._elsewhere = folder, elsewhere
        self._names = elsewhere.names(_ELSEWHERE) if elsewhere and alone else None
        """Name -> bytes of what is elsewhere, as far as it is known."""

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
            InfrastructureError: the artifacts cannot be written.
        """
        # The time of writing is left out: the same content makes the same file.
        data = gzip.compress(content, mtime=0)
        before = 0
        if self._elsewhere is not None:  # first, so that the folder holds nothing that is not there
            self._elsewhere.put(f"{_ELSEWHERE}/{self.path(name).name}", data)
            if self._names is not None:
                before = self._names.get(name, 0)
                self._names[name] = len(data)
        return len(data) - max(before, self._write(name, data))

    def _write(self, name: str, data: bytes) -> int:
        """Into the folder; how many bytes were there under that name."""
        with own_folder(self.path(name).parent) as folder:
            try:
                before = os.lstat(folder / name).st_size
            except FileNotFoundError:
                before = 0
            write_whole(folder / name, data, sweeps=False)  # opening the study did
        return before

    def read(self, name: str) -> bytes | None:
        """What a file holds; None where there is none.

        Raises:
            RecordError: it is a link or damaged, or the folder is a link.
            InfrastructureError: the artifacts cannot be read.
        """
        path = self.path(name)
        try:
            with own_folder(self._folder) as folder:
                # A link to nowhere is there.
                if not os.path.lexists(folder / name) and not self._fetch(name):
                    return None
                return read_gzip(folder / name, called=path)
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise RecordError(f"{path}: cannot be read ({problem.strerror})") from None

    def fetch_all(self, suffix: str, *, without: str | None = None) -> None:
        """Bring all files here whose name ends so, and not in `without`, and that are only among
        the artifacts: many at a time, where `read` would ask for one after the other.

        Raises:
            OSError, InfrastructureError: as `write`.
        """
        if self._elsewhere is None:
            return
        there = self._elsewhere.names(_ELSEWHERE) if self._names is None else self._names
        with own_folder(self._folder) as folder:
            here = {path.name for path in folder.iterdir()}
        missing = [
            f"{_ELSEWHERE}/{name}"
            for name, size in sorted(there.items())
            if name not in here and size <= LARGE
            if name.endswith(suffix) and not (without and name.endswith(without))
        ]
        for name, data in self._elsewhere.get_all(missing):
            self._write(name.removeprefix(f"{_ELSEWHERE}/"), data)

    def _fetch(self, name: str) -> bool:
        """Bring a file here from the artifacts; whether there is one."""
        if self._elsewhere is None or (self._names is not None and name not in self._names):
            return False
        data = self._elsewhere.get(f"{_ELSEWHERE}/{name}")
        if data is None:
            return False
        self._write(name, data)
        return True

    def about(self, suffix: str) -> dict[str, Kept]:
        """What is known of every file whose name ends so.

        Raises:
            OSError: as `write`.
        """
        known = {name: Kept(size, 0) for name, size in (self._names or {}).items()}
        with own_folder(self._folder) as folder:
            for entry in os.scandir(folder):
                about = entry.stat(follow_symlinks=False)
                known[entry.name] = Kept(about.st_size, about.st_mtime_ns)
        return {name: about for name, about in known.items() if name.endswith(suffix)}

    def names(self, suffix: str) -> list[str]:
        """All files whose name ends so.

        Raises:
            RecordError: the folder is a link, or cannot be read.
        """
        try:
            return list(self.about(suffix))
        except FileNotFoundError:
            return []
        except OSError as problem:
            raise RecordError(f"{self._folder}: cannot be read ({problem.strerror})") from None

    def remove(self, name: str) -> None:
        """Remove a file; of a link, the link.

        Raises:
            OSError: as `write`.
        """
        with own_folder(self.path(name).parent) as folder:
            (folder / name).unlink(missing_ok=True)
        if self._elsewhere is not None:
            self._elsewhere.remove(f"{_ELSEWHERE}/{name}")
            if self._names is not None:
                self._names.pop(name, None)
