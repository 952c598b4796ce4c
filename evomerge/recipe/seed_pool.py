"""The stock that tables are bred from: the seeds, as far as crossing needs to know them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from evomerge.recipe.grid import Grams, Grid

__all__ = ["SeedPool"]


@dataclass(frozen=True)
class SeedPool:
    """The seeds' names, the grid of each chromosome and, once asked for, the Gram matrices."""

    seeds: tuple[str, ...]
    grids: tuple[Grid, ...]
    """One a chromosome."""
    measure: Callable[[], Sequence[Grams]]
    """Gives the seeds' Gram matrices, one `Grams` a chromosome: a pass over all weights, which who
    crosses linearly never asks for."""
    origin: str | None = None
    """What the seeds were fine-tuned from, a seed or not; None: nothing that the space names."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Elements of each chromosome."""
        return tuple(grid.size for grid in self.grids)

    @cached_property
    def grams(self) -> tuple[Grams, ...]:
        """The Gram matrices, measured when they are first asked for."""
        return tuple(self.measure())
