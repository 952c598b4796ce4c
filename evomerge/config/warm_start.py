"""What a search knows before it begins: points, recipes and studies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from evomerge.recipe.tree import Recipe
from evomerge.value import Value

__all__ = ["Basis", "Solution", "WarmStart"]


class Solution(Value):
    """A candidate of another study."""

    genes: Mapping[str, float | str]
    """Gene name -> value in the gene's own unit."""
    fitness: float
    """On that study's search split."""


class Basis(Value):
    """A study whose best recipes are this search's parents."""

    study: str
    """The study's folder."""
    elites: Annotated[int, Field(ge=2)] = 3
    """How many of its best recipes, no two alike, become parents: `elite1`, `elite2` and so on."""


class WarmStart(Value):
    """What is tried before the optimizer is asked, and told to it."""

    landmarks: bool = True
    """The space's own: the uniform merge and each parent."""
    genomes: tuple[Mapping[str, float | str], ...] = ()
    """Known good points: gene name -> value in the gene's own unit, every gene once."""
    recipes: tuple[Recipe, ...] = ()
    """Known good recipes that the space holds. A YAML file has a path or writes the recipe out."""
    sparsified: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Also each parent alone with this share of its changes kept, where the method has a density
    and it is a gene."""
    sums: bool = Field(default=False, exclude_if=lambda asked: not asked)
    """Also the plain sum of all task vectors, each parent at weight 1, and with up to 5 parents the
    sum of each pair, in a parameter space with a base and weights as genes."""
    study: str | None = None
    """The folder of another study over genes of the same names, on another task or other examples:
    cma_es begins where the best tenth of its candidates lies. Nothing of it counts as evaluated."""
    solutions: tuple[Solution, ...] = ()
    """What that study had found when the job was read."""
