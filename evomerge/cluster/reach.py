"""Whether somebody listens at a host and a port, told within seconds and while Ctrl-C works."""

from __future__ import annotations

import socket
import threading

__all__ = ["REACH_S", "reach"]

REACH_S = 8.0
"""How long a host may take to answer. A name server alone may take minutes."""


def reach(host: str, port: int, within_s: float = REACH_S) -> None:
    """Nothing happens if somebody listens there.

    The system's calls that look up a name cannot be interrupted, so a thread of its own makes them;
    where it gets no answer, it is left behind.

    Raises:
        OSError: nobody listens there, there is no such host, or nobody has answered in time.
    """
    if not 0 < port < 1 << 16:
        raise OSError(f"there is no port {port}")
    problems: list[Exception] = []

    def connect() -> None:
        try:
            socket.create_connection((host, port), timeout=within_s).close()
        except (OSError, UnicodeError) as problem:
            problems.append(problem)

    asking = threading.Thread(target=connect, name="evomerge-reach", daemon=True)
    asking.start()
    asking.join(within_s)
    if asking.is_alive():
        raise TimeoutError(f"no answer in {within_s:g} s")
    for problem in problems:
        raise problem if isinstance(problem, OSError) else OSError(str(problem))
