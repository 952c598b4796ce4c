"""Files and folders that this process keeps locked (`flock`), and no forked child of it does.

The kernel gives a lock back when the process ends, however it ends. A forked child shares the open
file and would hold it beyond its parent's death, so it lets go of all at once.
"""

from __future__ import annotations

import os

__all__ = ["keep", "release"]

_kept: set[int] = set()


def keep(descriptor: int) -> None:
    """From now on an open, locked file is this process's alone."""
    _kept.add(descriptor)


def release(descriptor: int) -> None:
    """Close it, which gives the lock back; once is enough, and a forked child has none to give."""
    if descriptor in _kept:
        _kept.remove(descriptor)
        os.close(descriptor)


def _let_go() -> None:
    for descriptor in _kept:
        os.close(descriptor)
    _kept.clear()


os.register_at_fork(after_in_child=_let_go)
