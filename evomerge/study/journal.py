"""The journal file: Optuna's lines of JSON, each with a checksum as its last key.

    {"op_code":4,"worker_id":"...", ... ,"crc":"1c291ca3"}

The checksum is the CRC-32 of the line as it was without that key, so that each flip of a bit is
found. Optuna passes over the key: its own backend and optuna-dashboard read the file. Lines without
one, from earlier versions or from the dashboard, are read as they are.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from evomerge.errors import RecordError
from evomerge.reading.own_files import open_own
from evomerge.study.disk import written

__all__ = ["ChecksummedJournal", "is_whole", "repair_journal", "seal", "unseal"]

_LONGEST_LINE = 256 << 20
"""Bytes of a line, at most; what is longer was not written here, and is not read into memory."""

_KEY = b',"crc":"'
_DIGITS = 8
_END = b'"}\n'
_FRAME = len(_KEY) + _DIGITS + len(_END)


def seal(entry: Mapping[str, Any]) -> bytes:
    """The entry as a line with its checksum."""
    body = json.dumps(entry, separators=(",", ":")).encode()
    return body[:-1] + _KEY + _crc(body) + _END


def unseal(line: bytes) -> dict[str, Any]:
    """The entry of a line, with the key of its checksum where it has one.

    Raises:
        ValueError: it is not what was written.
    """
    if _claims_checksum(line):
        digits = line[-_FRAME + len(_KEY) : -len(_END)]
        if digits != _crc(_body(line)) or line[-_FRAME : -_FRAME + len(_KEY)] != _KEY:
            raise ValueError("its checksum does not fit")
    if not line.endswith(b"\n"):
        raise ValueError("it does not end")
    try:
        entry = json.loads(line)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(entry, dict):
        raise ValueError("it is not an entry")
    return entry


def is_whole(line: bytes) -> bool:
    """Whether the last line of a journal was written to its end; a damaged one was, too."""
    if _claims_checksum(line):
        return True
    try:
        unseal(line)
    except ValueError:
        return False
    return True


class ChecksummedJournal:
    """A backend of Optuna's `JournalStorage` over one file.

    Any process may read while one writes: a last line without its end is not there yet.
    """

    def __init__(self, path: Path) -> None:
        from optuna.storages.journal import JournalFileSymlinkLock

        self._path = path
        # The dashboard may write, too, and takes this lock.
        self._lock = JournalFileSymlinkLock(str(path))
        self._read = self._offset = 0  # lines that were read, and their bytes
        self._together: list[Mapping[str, Any]] | None = None

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """The entries from a number on.

        Raises:
            RecordError: a line is damaged.
        """
        if log_number_from < self._read:
            self._read = self._offset = 0
        if os.lstat(self._path).st_size == self._offset:
            return  # Optuna asks about twenty times a candidate, and mostly in vain
        with open(open_own(self._path), "rb") as file:
            file.seek(self._offset)
            while line := file.readline(_LONGEST_LINE):
                try:
                    entry = unseal(line)
                except ValueError as problem:
                    if not file.peek(1) and not is_whole(line):
                        return
                    raise self._damaged(problem) from None
                self._read += 1
                self._offset += len(line)
                if self._read > log_number_from:
                    yield entry

    def append_logs(self, logs: Sequence[Mapping[str, Any]]) -> None:
        """Write entries and make them durable: all of them, or none where it fails.

        Raises:
            InfrastructureError: the disk refuses.
        """
        if self._together is not None:
            self._together += logs
            return
        data = b"".join(map(seal, logs))
        with written(self._path):
            self._lock.acquire()
            try:
                self._append(data)
            finally:
                self._lock.release()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make one append, and one wait for the disk, of all that the block appends; of a block
        that raises, none.

        Of an append that a crash cuts off the first lines stay, in their order: as if each had been
        appended for itself. Nothing of the block can be read within it.

        Raises:
            InfrastructureError: the disk refuses.
        """
        self._together = []
        try:
            yield
            logs = self._together
        finally:
            self._together = None
        if logs:
            self.append_logs(logs)

    def _append(self, data: bytes) -> None:
        descriptor = open_own(self._path, os.O_WRONLY | os.O_APPEND)
        try:
            before = os.fstat(descriptor).st_size
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
                os.fsync(descriptor)
            except BaseException:
                os.ftruncate(descriptor, before)  # half a line would spoil the next one
                raise
        finally:
            os.close(descriptor)

    def _damaged(self, problem: ValueError) -> RecordError:
        return RecordError(
            f"{self._path}: line {self._read + 1} is damaged ({problem}); put the file back from a"
            f" copy, or keep what stands before it: `head -n {self._read} {self._path.name}` into a"
            " new file of that name"
        )


def repair_journal(journal: Path) -> None:
    """Undo what a writer that was killed left: a torn last line, and Optuna's own lock.

    A line that was not written to its end was never reported as recorded, so that dropping it loses
    nothing; left in place it would spoil the journal with the next line appended to it. Only the
    holder of the writer's lock may call this: Optuna's lock is stale then by construction.

    Raises:
        RecordError: the journal is missing, or no file of this folder.
    """
    for lock in journal.parent.glob(f"{journal.name}.lock*"):
        try:
            lock.unlink(missing_ok=True)
        except IsADirectoryError:
            raise RecordError(f"{lock}: is a folder, and a study has none; remove it") from None
    try:
        descriptor = open_own(journal, os.O_RDWR)
    except FileNotFoundError:
        raise RecordError(f"{journal}: is missing; the candidates were recorded there") from None
    except OSError as problem:
        raise RecordError(f"{journal}: cannot be written ({problem.strerror})") from None
    with open(descriptor, "r+b") as file:
        whole = _whole_bytes(file)
        if whole < os.fstat(descriptor).st_size:
            file.truncate(whole)


def _whole_bytes(journal: BinaryIO) -> int:
    """Bytes up to the end of the last line that was written to its end."""
    start = end = 0
    last = b"\n"
    while piece := journal.readline(_LONGEST_LINE):
        if last.endswith(b"\n"):
            start = end
        end += len(piece)
        last = piece
    return end if end == 0 or is_whole(last) else start


def _claims_checksum(line: bytes) -> bool:
    """Whether a line was written with a checksum, even if one bit of it has changed since."""
    if len(line) <= _FRAME:
        return False
    frame = line[-_FRAME:]
    return frame.startswith(_KEY) or frame[len(_KEY) : -len(_END)] == _crc(_body(line))


def _body(line: bytes) -> bytes:
    return line[:-_FRAME] + b"}"


def _crc(body: bytes) -> bytes:
    return b"%08x" % zlib.crc32(body)
