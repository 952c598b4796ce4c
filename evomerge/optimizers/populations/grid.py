"""A grid of elites: the best of each kind of behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from evomerge.optimizers.populations.archive import Array

__all__ = ["Cell", "Elite", "EliteGrid"]

T = TypeVar("T")
Cell = tuple[int, ...]


@dataclass(frozen=True)
class Elite(Generic[T]):
    """The best member of a cell so far: by its fitness, at its behaviour (dimensions,)."""

    item: T
    fitness: float
    behaviour: Array


class EliteGrid(Generic[T]):
    """Cells over behaviours, each range cut into `bins` equal ones that include their upper end.

    What lies outside falls into the nearest cell. An elite is replaced by strictly better ones only
    (Mouret and Clune 2015, "Illuminating search spaces by mapping elites", 1504.04909).
    """

    def __init__(self, low: Sequence[float], high: Sequence[float], bins: int) -> None:
        self._inner = [
            np.linspace(start, end, bins + 1)[1:-1] for start, end in zip(low, high, strict=True)
        ]
        self._elites: dict[Cell, Elite[T]] = {}

    @property
    def elites(self) -> list[Elite[T]]:
        """In the order in which their cells were first reached."""
        return list(self._elites.values())

    def cell(self, behaviour: Array) -> Cell:
        """The cell of a behaviour (dimensions,)."""
        return tuple(
            int(np.searchsorted(inner, value, side="left"))
            for inner, value in zip(self._inner, behaviour.tolist(), strict=True)
        )

    def add(self, elite: Elite[T]) -> bool:
        """Put it into its cell if it is better than the elite there; whether it is there now."""
        cell = self.cell(elite.behaviour)
        if cell in self._elites and elite.fitness <= self._elites[cell].fitness:
            return False
        self._elites[cell] = elite
        return True
