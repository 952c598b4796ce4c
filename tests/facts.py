"""What search spaces ask about models, where a test has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evomerge.operators import signatures
from evomerge.recipe.grid import Grams, Grid
from evomerge.recipe.selector import Selector
from evomerge.recipe.signature import Signature
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe

__all__ = ["Facts"]


@dataclass(frozen=True)
class Facts:
    """Every model has so many layers, these grids and these Gram matrices."""

    depth: int = 4
    cells: tuple[Grid, ...] = ()
    measure: Callable[[], Sequence[Grams]] = tuple
    methods: Mapping[str, Signature] = field(default_factory=signatures)

    def layers(self, recipe: Recipe) -> int:
        return self.depth

    def grids(
        self, donor: Source, chromosomes: Sequence[Selector], resolution: int
    ) -> tuple[Grid, ...]:
        return self.cells

    def grams(
        self,
        seeds: Sequence[Source],
        donor: Source,
        chromosomes: Sequence[Selector],
        resolution: int,
    ) -> list[NDArray[np.float64]]:
        return [grams.matrices for grams in self.measure()]
