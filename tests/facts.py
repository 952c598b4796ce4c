"""What search spaces ask about models, where a test has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evomerge.models.anatomy import Anatomy, anatomy_of
from evomerge.operators import signatures
from evomerge.recipe.grid import Grams, Grid
from evomerge.recipe.selector import Selector
from evomerge.recipe.signature import Signature
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe

__all__ = ["Facts", "llama_names"]


@dataclass(frozen=True)
class Facts:
    """Every model has so many layers, these grids and these Gram matrices."""

    depth: int = 4
    cells: tuple[Grid, ...] = ()
    measure: Callable[[], Sequence[Grams]] = tuple
    methods: Mapping[str, Signature] = field(default_factory=signatures)
    names: tuple[str, ...] = ()
    """Of the tensors; a Llama's with a tied head where they are left out."""

    def layers(self, recipe: Recipe) -> int:
        return self.depth

    def anatomy(self, recipe: Recipe) -> Anatomy:
        return anatomy_of(self.names or llama_names(self.depth))

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


def llama_names(depth: int) -> list[str]:
    """Some tensors of a Llama whose head is its embedding."""
    parts = ("self_attn.q_proj", "mlp.up_proj", "input_layernorm")
    layers = [f"model.layers.{i}.{part}.weight" for i in range(depth) for part in parts]
    return ["model.embed_tokens.weight", *layers, "model.norm.weight"]
