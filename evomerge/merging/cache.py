"""What was computed once, the least recently used forgotten first when it grows too large.

The bound is one for the whole machine or container: its caches, one a worker, have equal shares of
it. `cachetools` has no cache that computes a value once for several threads, and
the rest is an `OrderedDict`: so there is no dependency.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from threading import Lock, RLock
from typing import Any, TypeVar

from evomerge.merging.memory_limit import memory_limit
from evomerge.merging.node_members import NodeMember

__all__ = ["Cache", "nbytes"]

T = TypeVar("T")
SHARE = 0.25
"""Of the memory that the processes of this machine or container may use together."""


class Cache:
    """Values by key, of at most so many bytes together. Threads may share it."""

    def __init__(self, limit: Callable[[], int] | None = None, members: Path | None = None) -> None:
        """Nothing is in it.

        Args:
            limit: bytes, asked for whenever a value is added; an equal share of what all caches of
                the machine or container may take where left out. One value is always kept, however
                large.
            members: the folder where those caches meet; the user's own where left out.
        """
        self._limit = limit or _equal_share(members)
        self._known: OrderedDict[Hashable, Any] = OrderedDict()
        self._computing: dict[Hashable, RLock] = {}
        self._size = 0
        self._lock = Lock()

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """What `compute` gives, kept under `key` unless that is None.

        Threads that ask for the same key at a time compute it once; for others they do not wait.
        """
        if key is None:
            return compute()
        with self._lock:
            if key in self._known:
                known: T = self._recent(key)
                return known
            computing = self._computing.setdefault(key, RLock())
        with computing:
            with self._lock:
                if key in self._known:
                    others: T = self._recent(key)  # another thread's, meanwhile
                    return others
            try:
                value = compute()
                self._keep(key, value)
            finally:
                with self._lock:
                    self._computing.pop(key, None)
        return value

    def drop(self, chosen: Callable[[Hashable], bool]) -> None:
        """Forget the values whose key is chosen."""
        with self._lock:
            for key in [key for key in self._known if chosen(key)]:
                self._size -= nbytes(self._known.pop(key))

    @property
    def nbytes(self) -> int:
        """Roughly what all values take together."""
        return self._size

    def _recent(self, key: Hashable) -> Any:
        self._known.move_to_end(key)
        return self._known[key]

    def _keep(self, key: Hashable, value: object) -> None:
        limit = self._limit()
        with self._lock:
            if key in self._known:  # computed again after a failure, or within itself
                self._size -= nbytes(self._known.pop(key))
            self._known[key] = value
            self._size += nbytes(value)
            while self._size > limit and len(self._known) > 1:
                _, old = self._known.popitem(last=False)
                self._size -= nbytes(old)


def nbytes(value: Any) -> int:
    """Roughly what a value takes: its arrays, and a little for itself."""
    if isinstance(value, tuple | list):
        return 64 + sum(nbytes(part) for part in value)
    if isinstance(value, dict):
        return 64 + sum(128 + nbytes(part) for part in value.values())
    return 128 + int(getattr(value, "nbytes", 0))


def _equal_share(members: Path | None) -> Callable[[], int]:
    """A cache counts from its first value on: one that stays empty takes nothing from others."""
    together, member = SHARE * memory_limit(), functools.cache(NodeMember)
    return lambda: int(together / member(members).count())
