"""Calls to Ray that nobody waits for, because a Ray that has died may keep them for a minute."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

__all__ = ["Aside"]

log = logging.getLogger(__name__)


class Aside:
    """Makes calls one after the other in a thread of its own, which a process does not wait for."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        """None: there are no more."""
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="evomerge-aside", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], object]) -> None:
        """Call it soon; what it raises is logged."""
        self._calls.put(function)

    def close(self, timeout_s: float) -> bool:
        """Wait until all that was asked for is done: whether it was, in so many seconds.

        What was not begun by then is never called: `ray.kill` starts a Ray where there is none.
        """
        self._calls.put(None)
        self._thread.join(timeout_s)
        self._is_over = True
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (function := self._calls.get()) is not None and not self._is_over:
            try:
                function()
            except Exception as problem:  # noqa: BLE001 - whatever Ray has against it
                log.warning("%s: %s", type(problem).__name__, problem)
