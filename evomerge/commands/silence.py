"""Nothing stays silent: after a while without a word it is said what is waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

__all__ = ["AGAIN_S", "FIRST_S", "Heartbeat", "Silence", "now"]

FIRST_S = 5.0
"""Seconds of silence until it is said what is waited for."""
AGAIN_S = 30.0
"""Seconds until it is said again, while the same is waited for."""


class Silence:
    """How long nothing was said, and whether that is too long."""

    def __init__(self, now: float) -> None:
        """`now`: seconds on any clock, the one that the other methods are told."""
        self._since = now
        self._kind: str | None = None

    def end(self, now: float) -> None:
        """Something was said."""
        self._since = now

    def is_over(self, kind: str, now: float) -> bool:
        """Whether what is waited for has to be said now, which the caller does then.

        `kind`: what stays the same while the same is waited for.
        """
        if now - self._since < (AGAIN_S if kind == self._kind else FIRST_S):
            return False
        self._since, self._kind = now, kind
        return True


class Heartbeat:
    """Calls a function every second, from a thread of its own, until it is stopped."""

    def __init__(self, beat: Callable[[], None]) -> None:
        """`beat` gets no argument, and may be called while anything else runs."""
        self._beat = beat
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="evomerge-heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(1.0):
            self._beat()


def now() -> float:
    """Seconds on the clock that silences are measured by."""
    return time.monotonic()
