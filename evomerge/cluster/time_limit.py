"""A limit for work in this very process, which nobody else can end.

When the time is up, a signal interrupts the main thread, and again every few seconds, since what
runs there may swallow it. Code that never comes back to Python (a hang in a library) hears no
signal: in the end the process is ended, with the stacks of its threads on stderr.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["TimeIsUp", "time_limit"]

_AGAIN_S = 5.0
"""How often it is interrupted again."""

_LAST_WORDS_S = 1.0
"""For the sentence before the end."""

_SIGNAL = signal.SIGURG
"""One that does nothing where nobody heeds it, should it come late."""


class TimeIsUp(BaseException):
    """The work has taken too long; no `Exception`, so that what it interrupts lets it through."""


@contextmanager
def time_limit(soft_s: float, hard_s: float, last_words: Callable[[], str]) -> Iterator[None]:
    """Let what is within take some seconds.

    Args:
        soft_s: after so many seconds it is interrupted, if it runs in the main thread.
        hard_s: after so many, counted from the beginning too, the process is ended.
        last_words: what is said on stderr where the process has to be ended.

    Raises:
        TimeIsUp: it was interrupted.
    """
    over = threading.Event()
    main = threading.main_thread()
    is_main = threading.current_thread() is main

    def interrupt(number: int, frame: FrameType | None) -> None:
        if not over.is_set():
            raise TimeIsUp

    def watch() -> None:
        passed_s, wait_s = 0.0, soft_s
        while not over.wait(wait_s):
            passed_s += wait_s
            if passed_s >= hard_s:
                print(f"evomerge: {last_words()}", file=sys.stderr, flush=True)
                return
            if is_main and main.ident is not None:
                signal.pthread_kill(main.ident, _SIGNAL)
            wait_s = min(_AGAIN_S, hard_s - passed_s)

    before = signal.signal(_SIGNAL, interrupt) if is_main else None
    # A thread of C, which needs no lock of Python's, ends the process.
    said = os.open(os.devnull, os.O_WRONLY) if sys.__stderr__ is None else sys.__stderr__
    faulthandler.dump_traceback_later(hard_s + _LAST_WORDS_S, exit=True, file=said)
    watcher = threading.Thread(target=watch, name="evomerge-time-limit", daemon=True)
    try:
        watcher.start()
        try:
            yield
        finally:
            over.set()
    finally:
        over.set()  # the signal may have come within the line above
        faulthandler.cancel_dump_traceback_later()
        if before is not None:
            signal.signal(_SIGNAL, before)
        if isinstance(said, int):
            os.close(said)
