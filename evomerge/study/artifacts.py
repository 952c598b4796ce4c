"""A study's files in a folder elsewhere, by a URL of fsspec: an object store, another disk.

What is put there is there whole or not at all: an object store takes an object in one piece; on
other file systems it is written beside its place and moved.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from evomerge.errors import RecordError
from evomerge.publish import PARTIAL, write_whole
from evomerge.reading.files import LARGE
from evomerge.study.artifact_url import named_artifacts
from evomerge.study.connection import WAITED_S
from evomerge.study.patient_files import PAUSE_S, PatientFiles

__all__ = ["ArtifactFolder"]

_BATCH = 100
"""Files that are asked for together."""

_IN_ONE_PIECE = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "tos", "hf"}
"""Protocols of object stores: who reads an object has the old one or the new one."""
_LOCAL = ("file", "local")
_TRIED = ".evomerge-tried"
_BEGUN = re.compile(rf"/\.[^/]*{re.escape(PARTIAL)}$")


class ArtifactFolder:
    """The files of one study, each by its name (`study.json`, `examples/NAME`).

    For the one process that writes, and any that read.
    """

    def __init__(
        self,
        url: str,
        *,
        is_recorded: bool = False,
        waited_s: float = WAITED_S,
        pause_s: float = PAUSE_S,
    ) -> None:
        """A place that has answered is waited for `waited_s` seconds, and asked every `pause_s`.

        `url`: one that has been checked, or one that is on record (`is_recorded`): then it has to
        be named by whoever runs this, once it is asked for anything.
        """
        self._given, self._is_recorded = url, is_recorded
        self._waited_s, self._pause_s = waited_s, pause_s

    @cached_property
    def url(self) -> str:
        """Where the files are.

        Raises:
            UserError: as `named_artifacts`.
        """
        return named_artifacts(self._given) if self._is_recorded else self._given

    def put(self, name: str, data: bytes) -> None:
        """Keep a file, whole or not at all; one of that name is replaced.

        Raises:
            UserError, InfrastructureError: the place does not answer, or refuses.
        """
        try:
            self._files.ask("written", lambda files: self._put(files, self._path(name), data))
        except FileNotFoundError as problem:  # the bucket, say
            raise self._files.refusal("written", problem) from None

    def get(self, name: str, most: int = LARGE) -> bytes | None:
        """A file of at most `most` bytes; None where there is none.

        Raises:
            RecordError: it has more.
            UserError, InfrastructureError: as `put`.
        """
        path = self._path(name)

        def read(files: Any) -> bytes | int:
            files.invalidate_cache()  # another process may have written it since
            size = int(files.info(path)["size"] or 0)
            return size if size > most else bytes(files.cat_file(path))

        try:
            content = self._files.ask("read", read)
        except FileNotFoundError:
            return None
        if isinstance(content, int):
            raise RecordError(f"{self.url}/{name}: has more than {most >> 20} MiB")
        return content

    def get_all(self, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Files that are there, asked for many at a time; what has gone meanwhile is left out.

        Raises:
            UserError, InfrastructureError: as `put`.
        """
        for start in range(0, len(names), _BATCH):
            paths = {self._path(name): name for name in names[start : start + _BATCH]}
            brought = self._files.ask("read", partial(_read_all, list(paths)))
            yield from ((paths[path], bytes(content)) for path, content in brought.items())

    def names(self, folder: str = "") -> dict[str, int]:
        """Name -> bytes of the files in a folder of it; of what has been begun, none.

        Raises:
            UserError, InfrastructureError: as `put`.
        """

        def listed(files: Any) -> list[dict[str, Any]]:
            files.invalidate_cache()
            return list(files.ls(self._path(folder), detail=True))

        try:
            there = self._files.ask("read", listed)
        except FileNotFoundError:
            return {}
        named = {str(entry["name"]).rpartition("/")[2]: entry for entry in there}
        return {
            name: int(entry["size"] or 0)
            for name, entry in named.items()
            if entry["type"] == "file" and name and not name.startswith(".")
        }

    def remove(self, name: str) -> None:
        """Remove a file; that it is gone already is no error.

        Raises:
            UserError, InfrastructureError: as `put`.
        """
        try:
            self._files.ask("written", lambda files: files.rm_file(self._path(name)))
        except FileNotFoundError:
            return

    def remove_folders(self) -> None:
        """Remove the folders that its files left, where a place has folders, as far as they are
        empty."""
        if self._protocol in _IN_ONE_PIECE:
            return

        def removed(files: Any) -> None:
            for folder in ("examples", ""):
                with suppress(OSError):
                    files.rmdir(self._path(folder))

        self._files.ask("written", removed)

    def try_to_write(self) -> None:
        """Whether files can be kept here; nothing is left of the attempt.

        Raises:
            UserError: they cannot, or the place does not answer.
        """
        name = f"{_TRIED}-{secrets.token_hex(4)}"
        self._files.forget()
        self.put(name, b"")
        self._files.forget()
        self.remove(name)

    def sweep(self) -> None:
        """Remove what a writer that died has begun; only the writer may."""
        if self._protocol in _IN_ONE_PIECE:
            return

        def swept(files: Any) -> None:
            files.invalidate_cache()
            for folder in ("", "examples"):
                there = files.isdir(self._path(folder)) and files.ls(
                    self._path(folder), detail=False
                )
                for path in there or ():
                    if not _BEGUN.search(str(path)):
                        continue
                    if self._protocol in _LOCAL:
                        shutil.rmtree(path, ignore_errors=True)
                    else:
                        files.rm_file(path)

        self._files.ask("written", swept)

    @cached_property
    def _files(self) -> PatientFiles:
        return PatientFiles(self.url, waited_s=self._waited_s, pause_s=self._pause_s)

    @property
    def _protocol(self) -> str:
        return self.url.partition("://")[0]

    @cached_property
    def _root(self) -> str:
        from fsspec import get_filesystem_class

        return str(get_filesystem_class(self._protocol)._strip_protocol(self.url)).rstrip("/")

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _put(self, files: Any, path: str, data: bytes) -> None:
        folder, _, name = path.rpartition("/")
        if self._protocol in _IN_ONE_PIECE:
            files.pipe_file(path, data)
            return
        files.makedirs(folder, exist_ok=True)
        if self._protocol in _LOCAL:
            write_whole(Path(path), data, sweeps=False)
            return
        partial = f"{folder}/.{name}.{secrets.token_hex(4)}{PARTIAL}"
        files.pipe_file(partial, data)
        try:
            files.mv(partial, path)
        except FileExistsError:  # where a move takes no name that is taken
            files.rm_file(path)
            files.mv(partial, path)
        files.invalidate_cache()
        if int(files.info(path)["size"] or 0) != len(data):
            raise OSError("what was written has another size")


def _read_all(paths: list[str], files: Any) -> dict[str, Any]:
    """Path -> content of those that are there."""
    brought: dict[str, Any] = files.cat(paths, on_error="omit")
    return brought
