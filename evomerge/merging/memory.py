"""Memory that is used again instead of being given back."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

__all__ = ["keep_freed_memory"]

# glibc's names for mallopt's parameters.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_KEPT = (1 << 31) - 1


@cache
def keep_freed_memory() -> None:
    """Let the C library keep up to 2 GiB that tensors freed, for the next ones.

    A merge takes and frees gigabytes in pieces. Left alone glibc returns them and asks anew, and
    clearing fresh pages takes longer than the arithmetic. Elsewhere than on glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        # Mapped chunks go back as soon as they are freed, and glibc maps all beyond 32 MiB.
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
