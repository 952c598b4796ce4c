"""What a driver asks of the system, call by call: where it may be killed, or not be alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["system_calls"]

_MODULES = frozenset({"posix", "_io", "io", "fcntl", "sqlite3"})
_CHANGING = frozenset(
    "open write truncate ftruncate mkdir rename replace unlink rmdir symlink link fsync flock"
    " execute commit rollback".split()
)
"""Calls after which the disk may be another one, or another driver may see something else."""


@contextmanager
def system_calls(before: Callable[[int, str], None]) -> Iterator[None]:
    """Call `before` with the number, from 0, and the name of each such call of the block. What it
    raises comes out of the call, which is not made then, and nothing is counted any more."""
    made = 0

    def profile(frame: FrameType, event: str, function: Any) -> None:
        nonlocal made
        if event == "c_call" and function.__name__ in _CHANGING:
            owner = getattr(function, "__self__", None)
            module = getattr(function, "__module__", None) or type(owner).__module__
            if module in _MODULES:
                made += 1
                before(made - 1, function.__name__)

    outside = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(outside)
