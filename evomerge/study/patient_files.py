"""A file system of fsspec that is waited for: a network that is away for a minute loses nothing.

A place that answered once and then does not is asked again for a while; one that never answered is
refused at once. No call takes longer than a minute, whatever its library does.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from evomerge.errors import InfrastructureError, UserError
from evomerge.study.artifact_url import scrubbed_of_secrets
from evomerge.study.connection import WAITED_S

__all__ = ["PAUSE_S", "PatientFiles"]

T = TypeVar("T")

_ANSWERED_S = 12.0
"""Seconds in which a place has to answer for the first time."""
PAUSE_S = 1.0
"""Seconds between two calls of one that does not answer."""
_CALL_S = 60.0
"""Seconds that a later call may take before it is made again."""
_FOR_GOOD = (PermissionError, NotADirectoryError, IsADirectoryError, NotImplementedError)
"""Errors that no waiting mends."""


class PatientFiles:
    """The file system at a URL, connected to when it is first asked for something.

    For the one process that writes, and any that read.
    """

    def __init__(
        self,
        url: str,
        *,
        answered_s: float = _ANSWERED_S,
        waited_s: float = WAITED_S,
        pause_s: float = PAUSE_S,
    ) -> None:
        """A place has to answer within `answered_s` seconds; once it has, it is waited for
        `waited_s` seconds, and asked every `pause_s`."""
        self._url, self._answered_s = url, answered_s
        self._waited_s, self._pause_s = waited_s, pause_s
        self._filesystem: Any = None
        self._has_answered = self._is_given_up = self._was_away = False

    def forget(self) -> None:
        """Take the next answer for the first: to write is another question than to read."""
        self._has_answered = False

    def ask(self, done: str, call: Callable[[Any], T]) -> T:
        """What a call with fsspec's file system gives; made again while the place does not answer,
        if it did before. `done`: `read` or `written`, for messages.

        Raises:
            FileNotFoundError: there is no such file.
            UserError, InfrastructureError: the place does not answer, or refuses.
        """
        began, is_said = time.monotonic(), False
        while True:
            first = not self._has_answered
            try:
                answer = _within(self._answered_s if first else _CALL_S, lambda: self._call(call))
            except FileNotFoundError:
                self._has_answered = True
                raise
            except Exception as problem:  # noqa: BLE001 - every library has its own
                is_over = self._is_given_up or time.monotonic() - began > self._waited_s
                self._is_given_up = is_over
                if first or is_over or isinstance(problem, _FOR_GOOD):
                    raise self.refusal(done, problem) from None
                if not is_said:
                    _say(
                        f"artifacts {self._url}: cannot be {done} ({_reason(problem)}); waiting up"
                        f" to {self._waited_s:.0f} s"
                    )
                is_said, self._filesystem, self._was_away = True, None, True
                time.sleep(self._pause_s)
            else:
                self._has_answered, self._is_given_up = True, False
                if is_said:
                    _say(f"artifacts {self._url}: answer again")
                return answer

    def refusal(self, done: str, problem: Exception) -> UserError | InfrastructureError:
        """What is raised where something cannot be `done`."""
        said = f"artifacts {self._url}: cannot be {done} ({_reason(problem)})"
        if not self._has_answered:
            return UserError(said)
        return InfrastructureError(
            f"{said}; what was recorded before is whole: once it can be, `evomerge resume` goes on"
        )

    def _call(self, call: Callable[[Any], T]) -> T:
        if self._filesystem is None:
            from fsspec.core import url_to_fs

            # Who waits for a place that was away wants new connections.
            self._filesystem = url_to_fs(self._url, skip_instance_cache=self._was_away)[0]
        return call(self._filesystem)


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
