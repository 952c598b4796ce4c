"""The seed pool: what crossing has to know of the models that tables are bred from."""

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
    """Gives the seeds' Gram matrices, one `Grams` a chromosome. It is a pass over all weights;
    linear crossing never calls it."""
    base: str | None = None
    """Name of the model that the seeds were fine-tuned from, a seed or not; None where the space
    names none."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Elements of each chromosome."""
        return tuple(grid.size for grid in self.grids)

    @cached_property
    def grams(self) -> tuple[Grams, ...]:
        """The Gram matrices, measured when they are first asked for."""
        return tuple(self.measure())
