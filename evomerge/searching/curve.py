"""The best so far, after each candidate: a curve that grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

__all__ = ["Curve"]


class Curve(Sequence[float]):
    """The first numbers of a list that only grows: they stay as they are, and are not copied."""

    def __init__(self, values: list[float]) -> None:
        """`values`: as many as it has now; its owner appends to it and does nothing else."""
        self._values, self._length = values, len(values)

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, place: int) -> float: ...
    @overload
    def __getitem__(self, place: slice) -> list[float]: ...
    def __getitem__(self, place: int | slice) -> float | list[float]:
        places = range(self._length)[place]
        if isinstance(places, range):
            return [self._values[there] for there in places]
        return self._values[places]
