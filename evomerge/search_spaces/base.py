"""A search space: a family of recipes, and the total, pure map from genome to recipe.

A space of another package is a class like this one, with its settings as `config`, offered in the
entry point group `evomerge.search_spaces`:

    class MyConfig(SpaceConfig):
        kind: Literal["mine"] = "mine"

    class MySpace(SearchSpace):
        config = MyConfig

        def __init__(self, config: MyConfig, sources: Mapping[str, Source], models: ModelFacts): ...

`tests/search_spaces/test_registry.py` has a whole one.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from evomerge.errors import ConfigError, RecipeError, did_you_mean
from evomerge.models.anatomy import Anatomy
from evomerge.models.importance import Importance
from evomerge.recipe.genome import ChoiceGene, FloatGene, Gene, Genome
from evomerge.recipe.grid import Grid
from evomerge.recipe.layer_path import Capacity
from evomerge.recipe.seed_pool import SeedPool
from evomerge.recipe.selector import Selector
from evomerge.recipe.signature import Signature
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe
from evomerge.search_spaces.baselines import PlainMerges
from evomerge.value import Value

__all__ = ["ModelFacts", "SearchSpace", "SpaceConfig", "check_names", "encode", "named"]


class SpaceConfig(Value):
    """Settings of a space: `space: {kind: ..., ...}` of a job, or a catalog entry of that shape."""

    kind: str
    """Which search space: one of ours, or of another package."""
    description: str = ""
    """What the space is for, in one line; `evomerge catalog` shows it."""

    @classmethod
    def resolved(cls, data: Mapping[str, Any], *, folder: Path, origin: str) -> Mapping[str, Any]:
        """The settings as plain data, with the files read that they name relative to `folder`.

        Raises:
            UserError: a file is missing or wrong; the sentence starts with `origin`.
        """
        return data

    def known_inputs(self, sources: Mapping[str, Source]) -> Mapping[str, Recipe]:
        """What the settings may name as an input: the sources, and recipes that they bring."""
        return sources


class ModelFacts(Protocol):
    """What a space may ask about the models that it is over; no weight is read but for `grams`."""

    @property
    def methods(self) -> Mapping[str, Signature]:
        """Every merge method that is known, by name."""

    def layers(self, recipe: Recipe) -> int:
        """How many layers the recipe's model has; raises SourceError where it cannot be read."""

    def anatomy(self, recipe: Recipe) -> Anatomy:
        """The towers of the recipe's model, and the place of each tensor; raises as `layers`."""

    def grids(
        self, donor: Source, chromosomes: Sequence[Selector], resolution: int
    ) -> tuple[Grid, ...]:
        """Each chromosome's elements of a model like the donor, cut into about `resolution` cells
        at which a split may lie; raises RecipeError where a chromosome selects nothing.
        """

    def grams(
        self,
        seeds: Sequence[Source],
        donor: Source,
        chromosomes: Sequence[Selector],
        resolution: int,
    ) -> Sequence[NDArray[np.float64]]:
        """Each chromosome's Gram matrices, (cells, seeds, seeds), over the cells of `grids`: a pass
        over all weights of the seeds, in a process of its own.
        """


class SearchSpace(ABC):
    """What the search loop, the optimizers and the plan need to know of a space.

    A space defines `genes` and `recipe`. The rest has a default that holds for any space, and is
    worth defining where the space knows better.
    """

    config: ClassVar[type[SpaceConfig]]
    """The class of its settings."""

    @property
    @abstractmethod
    def genes(self) -> tuple[Gene, ...]:
        """The genes, each with a readable name that no other has."""

    @abstractmethod
    def recipe(self, genome: Genome) -> Recipe:
        """The recipe of a genome: defined for every genome, and the same each time.

        All recipes of a space have one donor: a live engine has its configuration and tokenizer.
        """

    def genome(self, recipe: Recipe) -> Genome:
        """A genome of this recipe: how a known recipe warms a search.

        Raises:
            RecipeError: the space does not hold the recipe, and why.
        """
        raise RecipeError("this search space cannot tell the genome of a recipe")

    def active(self, genome: Genome) -> tuple[bool, ...]:
        """Which genes matter there: the recipe stays the same whatever the others are."""
        return (True,) * len(self.genes)

    def importance(self, measured: Importance) -> tuple[float, ...] | None:
        """How much each gene is expected to matter, each in (0, 1], by what was measured of layers
        and components; 1 of a gene that is of none. None: no gene is of any that was measured.
        """
        return None

    def landmarks(self) -> Mapping[str, Genome]:
        """Label -> genome to try before the optimizer is asked: each parent, the uniform merge."""
        return {}

    def sparsified(self, density: float) -> Mapping[str, Genome]:
        """Label -> genome of each parent alone, with this share of its changes; {}: no such genome.

        As the seeds of the swarm in "PSO-Merging", arXiv 2508.19839.
        """
        return {}

    def sums(self) -> Mapping[str, Genome]:
        """Label -> genome of the plain sum of all parents' task vectors, and of pairs of them; {}:
        no such genome.

        As Ilharco et al. (2212.04089) add them, each at weight 1.
        """
        return {}

    def samples(self) -> Iterable[Recipe]:
        """A few recipes: a check that all of them pass holds for every recipe of the space.

        By default one for each combination of choices, with all numbers in the middle.
        """
        middle: list[tuple[float | str, ...]] = [
            gene.choices if isinstance(gene, ChoiceGene) else (0.5,) for gene in self.genes
        ]
        return (self.recipe(genome) for genome in itertools.product(*middle))

    def baselines(self) -> Mapping[str, Recipe]:
        """What the winner is compared with on the holdout, by label; by default each input."""
        first = next(iter(self.samples()))
        return {} if isinstance(first, Source) else dict(first.inputs)

    @property
    def plain_merges(self) -> PlainMerges | None:
        """The merges that anyone would try first over the space's parents, to be tuned and compared
        with; None where its inputs are not weights to be merged."""
        return None

    @property
    def capacity(self) -> Capacity | None:
        """What an engine needs room for where its layers are routed; None: weights are merged."""
        return None

    @property
    def seed_pool(self) -> SeedPool | None:
        """What members are crossed over, where genomes are coefficients of seeds."""
        return None


def check_names(
    names: Iterable[str],
    known: Mapping[str, object],
    key: str,
    law: str = "is not among the sources",
) -> None:
    """Every name is a known one.

    Raises:
        ConfigError: one is not, as `law` says of it; `key` is where the name stands.
    """
    for name in names:
        if name not in known:
            raise ConfigError(f"{key}: {name!r} {law}; {did_you_mean(name, known)}")


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
