"""Memory that is used again instead of being given back."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

__all__ = ["keep_freed_memory"]

# glibc's names for mallopt's parameters.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_KEPT = 32 << 20  # the most that glibc takes
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
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
