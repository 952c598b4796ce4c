"""What search spaces ask about models: answered from headers, without torch in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evomerge.models.anatomy import Anatomy
from evomerge.models.blueprint import outline
from evomerge.models.flat import grids
from evomerge.models.headers import Headers
from evomerge.operators import signatures
from evomerge.recipe.digest import plain
from evomerge.recipe.grid import Grid
from evomerge.recipe.selector import Selector
from evomerge.recipe.signature import Signature
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe
from evomerge.subprocess_call import call_in_subprocess

__all__ = ["FactsFromHeaders"]

# What needs torch runs in a process of its own; the driver only names it.
GRAMS = "evomerge.merging.grams:matrices"


@dataclass(frozen=True)
class FactsFromHeaders:
    """`ModelFacts` of the models on this machine, each of whose headers is read once."""

    headers: Headers

    @property
    def methods(self) -> Mapping[str, Signature]:
        """Every merge method that is known, by name."""
        return signatures()

    def layers(self, recipe: Recipe) -> int:
        """How many layers the recipe's model has.

        Raises:
            SourceError: a model cannot be read.
        """
        return outline(recipe, self.headers).layers

    def anatomy(self, recipe: Recipe) -> Anatomy:
        """The towers of the recipe's model, and the place of each tensor.

        Raises:
            SourceError: a model cannot be read.
        """
        return outline(recipe, self.headers).anatomy

    def grids(
        self, donor: Source, chromosomes: Sequence[Selector], resolution: int
    ) -> tuple[Grid, ...]:
        """Each chromosome's elements of a model like the donor, cut into about `resolution` cells.

        Raises:
            SourceError: the donor cannot be read.
            RecipeError: a chromosome is left without a tensor.
        """
        return grids(donor, chromosomes, resolution, "space", self.headers)

    def grams(
        self,
        seeds: Sequence[Source],
        donor: Source,
        chromosomes: Sequence[Selector],
        resolution: int,
    ) -> list[NDArray[np.float64]]:
        """Each chromosome's Gram matrices, (cells, seeds, seeds); raises as `merging.grams`."""
        request = {
            "seeds": [plain(seed) for seed in seeds],
            "like": plain(donor),
            "where": [selector.model_dump(mode="json") for selector in chromosomes],
            "resolution": resolution,
        }
        return [np.array(matrices) for matrices in call_in_subprocess(GRAMS, request)]
