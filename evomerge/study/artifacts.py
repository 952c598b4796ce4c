"""A study's files in a folder elsewhere, by a URL of fsspec: an object store, another disk.

What is put there is there whole or not at all: an object store takes an object in one piece; on
other file systems it is written beside its place and moved. A place that answered once and then
does not is asked again for a while, so that a network that is away for a minute loses nothing.
"""

from __future__ import annotations

import logging
import queue
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

from evomerge.errors import InfrastructureError, RecordError, UserError
from evomerge.publish import PARTIAL, write_whole
from evomerge.reading.files import LARGE
from evomerge.study.artifact_url import named_artifacts, scrubbed_of_secrets
from evomerge.study.connection import WAITED_S

__all__ = ["ANSWERED_S", "ArtifactFolder"]

T = TypeVar("T")

ANSWERED_S = 12.0
"""Seconds in which a place has to answer for the first time."""
_CALL_S = 60.0
"""Seconds that a later call may take before it is made again."""
_PAUSE_S = 1.0
_BATCH = 100
"""Files that are asked for together."""

_IN_ONE_PIECE = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "tos", "hf"}
"""Protocols of object stores: who reads an object has the old one or the new one."""
_LOCAL = ("file", "local")
_FOR_GOOD = (PermissionError, NotADirectoryError, IsADirectoryError, NotImplementedError)
"""Errors that no waiting mends."""
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
        pause_s: float = _PAUSE_S,
    ) -> None:
        """A place that has answered is waited for `waited_s` seconds, and asked every `pause_s`.

        `url`: one that has been checked, or one that is on record (`is_recorded`): then it has to
        be named by whoever runs this, once it is asked for anything.
        """
        self._given, self._is_recorded = url, is_recorded
        self._waited_s, self._pause_s = waited_s, pause_s
        self._filesystem: Any = None
        self._has_answered = self._is_given_up = self._was_away = False

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
            self._ask("written", lambda files: self._put(files, self._path(name), data))
        except FileNotFoundError as problem:  # the bucket, say
            raise self._refusal("written", problem) from None

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
            content = self._ask("read", read)
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
            brought = self._ask("read", partial(_read_all, list(paths)))
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
            there = self._ask("read", listed)
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
            self._ask("written", lambda files: files.rm_file(self._path(name)))
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

        self._ask("written", removed)

    def try_to_write(self) -> None:
        """Whether files can be kept here; nothing is left of the attempt.

        Raises:
            UserError: they cannot, or the place does not answer.
        """
        name = f"{_TRIED}-{secrets.token_hex(4)}"
        self._has_answered = False  # to write is another question than to read
        self.put(name, b"")
        self._has_answered = False
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

        self._ask("written", swept)

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

    def _ask(self, done: str, call: Callable[[Any], T]) -> T:
        """What a call gives, made again while the place does not answer, if it did before.

        Raises:
            FileNotFoundError: there is no such file.
            UserError, InfrastructureError: as `put`.
        """
        began, is_said, place = time.monotonic(), False, self.url  # which may not be named
        while True:
            first = not self._has_answered
            try:
                answer = _within(ANSWERED_S if first else _CALL_S, lambda: self._call(call))
            except FileNotFoundError:
                self._has_answered = True
                raise
            except Exception as problem:  # noqa: BLE001 - every library has its own
                is_over = self._is_given_up or time.monotonic() - began > self._waited_s
                self._is_given_up = is_over
                if first or is_over or isinstance(problem, _FOR_GOOD):
                    raise self._refusal(done, problem) from None
                if not is_said:
                    _say(
                        f"artifacts {place}: cannot be {done} ({_reason(problem)}); waiting up"
                        f" to {self._waited_s:.0f} s"
                    )
                is_said, self._filesystem, self._was_away = True, None, True
                time.sleep(self._pause_s)
            else:
                self._has_answered, self._is_given_up = True, False
                if is_said:
                    _say(f"artifacts {place}: answer again")
                return answer

    def _refusal(self, done: str, problem: Exception) -> UserError | InfrastructureError:
        said = f"artifacts {self.url}: cannot be {done} ({_reason(problem)})"
        if not self._has_answered:
            return UserError(said)
        return InfrastructureError(
            f"{said}; what was recorded before is whole: once it can be, `evomerge resume` goes on"
        )

    def _call(self, call: Callable[[Any], T]) -> T:
        if self._filesystem is None:
            from fsspec.core import url_to_fs

            # Who waits for a place that was away wants new connections.
            self._filesystem = url_to_fs(self.url, skip_instance_cache=self._was_away)[0]
        return call(self._filesystem)


def _read_all(paths: list[str], files: Any) -> dict[str, Any]:
    """Path -> content of those that are there."""
    brought: dict[str, Any] = files.cat(paths, on_error="omit")
    return brought


def _within(most_s: float, call: Callable[[], T]) -> T:
    """What a call gives, in a thread of its own: one that hangs is left behind, and ends with the
    process.

    Raises:
        TimeoutError: it takes longer than `most_s` seconds.
    """
    answers: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue()

    def run() -> None:
        try:
            answers.put((call(), None))
        except BaseException as problem:  # noqa: BLE001 - it is raised where it was asked for
            answers.put((None, problem))

    threading.Thread(target=run, name="artifacts", daemon=True).start()
    try:
        answer, problem = answers.get(timeout=most_s)
    except queue.Empty:
        raise TimeoutError(f"no answer within {most_s:.0f} s") from None
    if problem is not None:
        raise problem
    return answer  # type: ignore[return-value]


def _reason(problem: Exception) -> str:
    said = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
    return scrubbed_of_secrets(str(said))


def _say(line: str) -> None:
    logging.getLogger("evomerge").warning(line)
