"""A search space: a family of recipes, and the total, pure map from genome to recipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from evomerge.recipe.genome import FloatGene, Gene, Genome
from evomerge.recipe.tree import Recipe

__all__ = ["SearchSpace", "encode", "named"]


class SearchSpace(Protocol):
    """What the search loop and the optimizers need to know of a space."""

    @property
    def genes(self) -> tuple[Gene, ...]:
        """The genes, each with a readable name that no other has."""

    def recipe(self, genome: Genome) -> Recipe:
        """The recipe of a genome: defined for every genome, and the same each time."""

    def genome(self, recipe: Recipe) -> Genome:
        """A genome of this recipe; a `RecipeError` says why the space does not hold it."""

    def active(self, genome: Genome) -> tuple[bool, ...]:
        """Which genes matter there: the recipe stays the same whatever the others are."""

    def landmarks(self) -> Mapping[str, Genome]:
        """Label -> genome to try before the optimizer is asked: each parent, the uniform merge."""

    def samples(self) -> Iterable[Recipe]:
        """A few recipes: a check that all of them pass holds for every recipe of the space."""


def named(space: SearchSpace, genome: Genome) -> dict[str, float | str]:
    """Gene name -> value in the gene's own unit: what a person reads."""
    return {
        gene.name: gene.value(float(value)) if isinstance(gene, FloatGene) else value
        for gene, value in zip(space.genes, genome, strict=True)
    }


def encode(space: SearchSpace, values: Mapping[str, float | str]) -> Genome:
    """The inverse of `named`; numbers outside a gene's range are moved to its nearest end."""
    return tuple(
        gene.unit(float(values[gene.name])) if isinstance(gene, FloatGene) else values[gene.name]
        for gene in space.genes
    )
