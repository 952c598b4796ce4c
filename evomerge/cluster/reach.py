"""Whether somebody listens at a host and a port, told within seconds and while Ctrl-C works.

A call that looks up a name, or that a library makes outside of Python, cannot be interrupted. So a
thread of its own makes it; where it gets no answer in time, it is left behind.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["REACH_S", "in_time", "reach"]

REACH_S = 8.0
"""How long a host may take to answer. A name server alone may take minutes."""

T = TypeVar("T")


def in_time(call: Callable[[], T], within_s: float) -> T:
    """What the call returns, or raises.

    Raises:
        TimeoutError: it has not ended in time. It goes on, and nobody hears of it.
    """
    results: list[T] = []
    problems: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as problem:  # noqa: BLE001 - it is raised where it is waited for
            problems.append(problem)

    running = threading.Thread(target=run, name="evomerge-reach", daemon=True)
    running.start()
    running.join(within_s)
    for problem in problems:
        raise problem
    for result in results:
        return result
    raise TimeoutError(f"no answer in {within_s:g} s")


def reach(host: str, port: int, within_s: float = REACH_S) -> None:
    """Nothing happens if somebody listens there.

    Raises:
        OSError: nobody listens there, there is no such host, or nobody has answered in time.
    """
    if not 0 < port < 1 << 16:
        raise OSError(f"there is no port {port}")

    def connect() -> None:
        try:
            socket.create_connection((host, port), timeout=within_s).close()
        except UnicodeError as problem:  # no name can be written so
            raise OSError(str(problem)) from None

    in_time(connect, within_s)
