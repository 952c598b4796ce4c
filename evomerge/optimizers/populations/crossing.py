"""How two members are crossed: what steady-state optimizers need to know of a genome.

Abrantes, Lange and Tang, "Competition and Attraction Improve Model Fusion" (2508.16204), equation
2: below a split point the child is f_w(A, B), from it on f_{1-w}(A, B), for an interpolation f.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Protocol, TypeVar

import numpy as np
from pydantic import Field, model_validator

from evomerge.recipe.genome import Genome
from evomerge.value import Value

__all__ = ["Crossing", "CrossingConfig"]

M = TypeVar("M")
Share = Annotated[float, Field(ge=0, le=1)]


class CrossingConfig(Value):
    """Options of a crossing."""

    crossover: Literal["slerp", "linear", "none"] = "slerp"
    """How two parents are interpolated; with `none` a child is its first parent, mutated."""
    split: Literal["position", "layer", "none"] = "position"
    """Where a child changes from one parent to the other: at any `position`, where a `layer` begins
    (only members that are tables), or nowhere: `none`, the mixture is the same everywhere."""
    angle: Literal["whole", "segment"] = "whole"
    """SLERP's angle: between the `whole` parents, as in the released code, or between their parts
    on each side of the split (`segment`), as in the paper."""
    ratio: tuple[Share, Share] = (0.0, 1.0)
    """The mixing ratio w is drawn evenly from this range."""
    mutation: Annotated[float, Field(ge=0)] = 0.0
    """Standard deviation of normal noise on every float, as a share of its range, and how likely a
    category is drawn anew; of a table, on each seed's coefficients throughout a chromosome."""
    chromosomes: tuple[str, ...] = ()
    """Parts of genes' names, such as `attention`: the genes with each are split and mixed on their
    own. The first that fits counts. For tables set the chromosomes in the space instead."""

    @model_validator(mode="after")
    def _laws(self) -> CrossingConfig:
        if self.ratio[0] > self.ratio[1]:
            raise ValueError(f"ratio: a range is [low, high], got {list(self.ratio)}")
        if self.crossover == "none" and self.mutation == 0:
            raise ValueError(
                "crossover: none leaves nothing but mutation, so set mutation, such as 0.01"
            )
        return self


class Crossing(Protocol[M]):
    """Reads genomes as members and makes children of them. All methods are pure: only the generator
    changes."""

    def read(self, genome: Genome) -> M:
        """The member that a genome stands for."""

    def genome(self, member: M) -> Genome:
        """Its genome; `read` gives the same member back."""

    def seeds(self) -> Sequence[M]:
        """Members that a search over this space begins with, where the space names them."""

    def founder(self, rng: np.random.Generator) -> M:
        """A random member, drawn without parents: for a search that has too few members."""

    def cross(self, a: M, b: M, rng: np.random.Generator) -> M:
        """A child of two members, as configured."""

    def blend(self, a: M, b: M, t: float) -> M:
        """(1 - t) A + t B, everywhere and whatever the configuration; t may lie outside [0, 1]."""

    def toward(
        self, member: M, expert: M, reach: float, number: int, rng: np.random.Generator
    ) -> M:
        """The member, moved by a random step towards the expert, at most by this share of it.

        Where the seeds' base is known, each singular direction of the expert's change takes a step
        of its own, drawn under this number, which no other child has.
        """

    def mutate(self, member: M, rng: np.random.Generator) -> M:
        """The member with the configured noise added."""
