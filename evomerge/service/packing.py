"""A study printed as text, on the node that has it: `python -m evomerge.service.packing DIR`.

What a job prints is all that Ray's Jobs API brings back, from whichever node it ran on. So the
study goes through the log: a compressed archive in base64, each line marked, its digest at the end.
What a search adds meanwhile does no harm: the record is packed first, and what it speaks of is
there by then.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from evomerge.errors import UserError
from evomerge.publish import PARTIAL
from evomerge.reading.files import expanded
from evomerge.study.folder import StudyFolder

__all__ = ["DATA", "END", "pack"]

DATA = "evomerge-data:"
"""What a line of the archive starts with."""
END = "evomerge-end:"
"""What the last line starts with; the archive's SHA-256 and its bytes follow."""
_LINE = 1500
"""Bytes a line."""


class _Printing(io.RawIOBase):
    """A file that is printed as it is written."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._held = out, b""
        self.digest, self.size = hashlib.sha256(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        new = bytes(data)  # type: ignore[call-overload]
        self.digest.update(new)
        self.size += len(new)
        self._held += new
        while len(self._held) >= _LINE:
            self._print(self._held[:_LINE])
            self._held = self._held[_LINE:]
        return len(new)

    def finish(self) -> None:
        """Print what is left, and the last line."""
        self._print(self._held)
        self._out.write(f"{END} {self.digest.hexdigest()} {self.size}\n")
        self._out.flush()

    def _print(self, part: bytes) -> None:
        self._out.write(f"{DATA} {base64.b64encode(part).decode()}\n")


def pack(folder: Path, out: TextIO) -> None:
    """Print a study: all regular files of its folder but locks and what is being written.

    Raises:
        UserError: there is no study.
    """
    study = StudyFolder(folder)
    study.read_identity()
    printing = _Printing(out)
    with tarfile.open(fileobj=printing, mode="w|gz") as archive:
        for file in _files(study):
            try:
                entry = archive.gettarinfo(file, str(file.relative_to(folder)))
                with file.open("rb") as content:
                    # A file that grows is packed as far as it went when it was looked at.
                    entry.uid = entry.gid = 0
                    entry.uname = entry.gname = ""
                    archive.addfile(entry, content)
            except FileNotFoundError:  # the search has removed it meanwhile
                continue
    printing.finish()


def _files(study: StudyFolder) -> Iterator[Path]:
    first = [study.job, study.journal]
    yield from (path for path in first if path.is_file() and not path.is_symlink())
    for place, folders, names in os.walk(study.path):
        folders[:] = sorted(name for name in folders if not name.endswith(PARTIAL))
        for path in (Path(place, name) for name in sorted(names)):
            passed = path in (study.lock, study.identity, *first)
            if not passed and path.is_file() and not path.is_symlink():
                yield path
    yield study.identity


def main() -> None:
    """Pack the study that the command line names."""
    try:
        pack(expanded(sys.argv[1]), sys.stdout)
    except UserError as problem:
        print(f"evomerge: {problem}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
