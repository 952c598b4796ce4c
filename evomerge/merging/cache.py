"""What was computed once, the least recently used forgotten first when it grows too large."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar

__all__ = ["Cache", "nbytes"]

T = TypeVar("T")
SHARE = 0.25
"""Of this machine's memory."""


class Cache:
    """Values by key, of at most so many bytes together."""

    def __init__(self, limit: int | None = None) -> None:
        """`limit`: bytes; a quarter of the machine's memory where left out."""
        self._limit = _quarter() if limit is None else limit
        self._known: OrderedDict[Hashable, Any] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """What `compute` gives, kept under `key` unless that is None."""
        if key is None:
            return compute()
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                kept: T = self._known[key]
                return kept
        computed = compute()  # by several threads at a time, for several keys
        with self._lock:
            self._known[key] = computed
            self._size += nbytes(computed)
            while self._size > self._limit and len(self._known) > 1:
                _, old = self._known.popitem(last=False)
                self._size -= nbytes(old)
        return computed

    def drop(self, chosen: Callable[[Hashable], bool]) -> None:
        """Forget the values whose key is chosen."""
        for key in [key for key in self._known if chosen(key)]:
            self._size -= nbytes(self._known.pop(key))


def nbytes(value: Any) -> int:
    """Roughly what a value takes: its arrays, and a little for itself."""
    if isinstance(value, tuple | list):
        return 64 + sum(nbytes(item) for item in value)
    if isinstance(value, dict):
        return 64 + sum(128 + nbytes(item) for item in value.values())
    return 128 + int(getattr(value, "nbytes", 0))


def _quarter() -> int:
    return int(SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
