"""Sequences that run together: neighbours of about one length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

__all__ = ["batches"]


class Sized(Protocol):
    """What takes room in a batch."""

    @property
    def length(self) -> int:
        """Tokens in the cache."""


S = TypeVar("S", bound=Sized)


def batches(items: Sequence[S], rows: int, cells: int) -> Iterator[list[S]]:
    """Neighbours, as many as the limits on sequences and padded tokens allow, at least one."""
    batch: list[S] = []
    longest = 0
    for item in items:
        longest = max(longest, item.length)
        if batch and (len(batch) == rows or (len(batch) + 1) * longest > cells):
            yield batch
            batch, longest = [], item.length
        batch.append(item)
    if batch:
        yield batch
