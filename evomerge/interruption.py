"""A program that is asked to end: SIGINT (Ctrl-C), SIGTERM and SIGHUP as one thing.

The first raises `Interrupted` in the main thread; within `deferred` it waits for `check` or for
`allowed`, so that no write is cut off from what belongs to it. The second raises at once, wherever
the program is. The third ends the process as it stands.

Whoever asks a program to end may give it a time for that (`EVOMERGE_DRAIN_S`): a scheduler kills it
after a while, and it should have given back by then what it has not finished. The second signal
comes by itself then.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = [
    "ALL",
    "DRAIN",
    "Interrupted",
    "allowed",
    "check",
    "deferred",
    "exit_code",
    "heeded",
    "renew",
]

ALL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

DRAIN = "EVOMERGE_DRAIN_S"
"""Seconds from the first signal to the second, which this process sends to itself then; unset or
empty: never."""


class Interrupted(KeyboardInterrupt):
    """A signal asked the program to end; `check` and the handler raise it."""


class _Signals:
    """What has come, and whether it may be raised now; signals are one thing of a process."""

    heeded: Sequence[signal.Signals] = ()
    came: int = 0
    last: int | None = None
    is_pending: bool = False
    is_deferred: bool = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Called by Python in the main thread."""
        self.came += 1
        self.last = number
        if self.came > 2:
            os._exit(128 + number)
        if self.came == 1:
            self._limit(number)
        if self.came == 1 and self.is_deferred:
            self.is_pending = True
            return
        self.is_pending = False
        raise Interrupted(signal.Signals(number).name)

    def _limit(self, number: int) -> None:
        """Let the second signal follow by itself, if there is a limit and none has come by then."""
        try:
            seconds = float(os.environ.get(DRAIN, ""))
        except ValueError:
            return

        def again() -> None:
            if self.heeded and self.came == 1:
                os.kill(os.getpid(), number)

        timer = threading.Timer(seconds, again)
        timer.daemon = True
        timer.start()

    def install(self) -> None:
        """Heed the signals, but those that whoever started the program has turned off, and
        Ctrl-C where a program has a use of its own for it."""
        for number in self.heeded:
            there = signal.getsignal(number)
            is_somebodys = number == signal.SIGINT and there is not signal.default_int_handler
            if there is not signal.SIG_IGN and not is_somebodys:
                signal.signal(number, self.handle)


_SIGNALS = _Signals()


@contextmanager
def heeded(signals: Sequence[signal.Signals] = ALL) -> Iterator[None]:
    """Let these signals interrupt what is within; inside another `heeded`, and outside the main
    thread, nothing changes."""
    if _SIGNALS.heeded or not _is_main():
        yield
        return
    before: list[tuple[signal.Signals, Callable[..., Any] | int | None]] = [
        (number, signal.getsignal(number)) for number in signals
    ]
    _SIGNALS.heeded, _SIGNALS.came, _SIGNALS.last = signals, 0, None
    _SIGNALS.is_pending = _SIGNALS.is_deferred = False
    try:
        _SIGNALS.install()
        yield
    finally:
        _SIGNALS.heeded = ()
        for number, handler in before:
            if handler is not None:  # one that was not set from Python stays replaced
                signal.signal(number, handler)


def renew() -> None:
    """Heed the signals again after a library has taken one of them, as Ray does with SIGTERM."""
    if _SIGNALS.heeded and _is_main():
        _SIGNALS.install()


@contextmanager
def deferred() -> Iterator[None]:
    """The first interruption waits here for `check`, for `allowed`, or for the end of this."""
    if not _is_main():
        yield
        return
    before, _SIGNALS.is_deferred = _SIGNALS.is_deferred, True
    try:
        yield
    finally:
        _SIGNALS.is_deferred = before
    if not before:
        check()


@contextmanager
def allowed() -> Iterator[None]:
    """An interruption may come here, though it is deferred around it.

    Raises:
        Interrupted: one has come, or comes.
    """
    if not _is_main():
        yield
        return
    before, _SIGNALS.is_deferred = _SIGNALS.is_deferred, False
    try:
        check()
        yield
    finally:
        _SIGNALS.is_deferred = before


def check() -> None:
    """
    Raises:
        Interrupted: a signal has come that was deferred.
    """
    if _SIGNALS.is_pending and _is_main():
        _SIGNALS.is_pending = False
        raise Interrupted(signal.Signals(_SIGNALS.last or signal.SIGINT).name)


def exit_code() -> int | None:
    """128 and the number of the last signal, as shells have it; None where none has come."""
    return None if _SIGNALS.last is None else 128 + _SIGNALS.last


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()
