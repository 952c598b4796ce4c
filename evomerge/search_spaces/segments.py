"""Natural niches over language models: members are tables of coefficients over seeds.

M2N2 (2508.16204) breeds models by crossing them at split points of the flat weight vector. A
genome here is one table, as text: an optimizer that crosses members (`natural_niches`, a genetic
algorithm) makes new tables from those that it has, with the space's seed pool, and the space turns
each into a recipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, field_validator

from evomerge.errors import ConfigError, RecipeError
from evomerge.recipe.genome import CoefficientsGene, Genome
from evomerge.recipe.grid import RESOLUTION, Grams
from evomerge.recipe.seed_pool import SeedPool
from evomerge.recipe.segments import DECIMALS, ChromosomeSegments, PiecewiseCoefficients
from evomerge.recipe.selector import Selector
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Chromosome, Merge, Recipe, Rule, Segments
from evomerge.search_spaces.base import ModelFacts, SearchSpace, SpaceConfig, check_names
from evomerge.search_spaces.baselines import PlainMerges

__all__ = ["SegmentsSpace", "SegmentsSpaceConfig"]

GENE = "table"
NOISE = "~noise"
"""The input that has the steps along singular directions: the base, changed by them."""


class SegmentsSpaceConfig(SpaceConfig):
    """Natural niches over models: coefficients of seed models, range by range of the weights."""

    kind: Literal["segments"]
    seeds: tuple[str, ...] | None = None
    """The sources that members are combinations of, at least two; left out: all except a `base`
    that is named."""
    base: str | None = None
    """The source that gives configuration, tokenizer and buffers; it need not be a seed. Left
    out: the first seed."""
    chromosomes: tuple[Selector, ...] = (Selector(),)
    """Parts of the weights that are crossed each at a split point of its own; a tensor belongs
    to the first that selects it, and the last selects all."""
    resolution: Annotated[int, Field(ge=1)] = RESOLUTION
    """Number of cells that a chromosome is cut into. A split point lies where a cell begins;
    each layer begins a cell, too."""

    @field_validator("chromosomes")
    @classmethod
    def _covers(cls, where: tuple[Selector, ...]) -> tuple[Selector, ...]:
        if not where or not where[-1].matches_all:
            raise ValueError("the last one must select all tensors ({})")
        return where

    def chosen(self, sources: Mapping[str, Source]) -> dict[str, Source]:
        """The seeds by name, in their order.

        Raises:
            ConfigError: a name that is no source, or twice; fewer than two seeds.
        """
        names = self.seeds or tuple(name for name in sources if name != self.base)
        check_names(names, sources, "space.seeds")
        check_names([] if self.base is None else [self.base], sources, "space.base")
        if len(set(names)) != len(names):
            raise ConfigError(f"space.seeds: a seed is named twice in {', '.join(names)}")
        if len(names) < 2:
            raise ConfigError(
                f"space.seeds: members are bred from at least two seeds, got {len(names)}"
                f" ({', '.join(names) or 'none'})"
            )
        return {name: sources[name] for name in names}


class SegmentsSpace(SearchSpace):
    """Genome -> `Segments` recipe. Every recipe has all seeds as inputs, whatever their shares."""

    config = SegmentsSpaceConfig

    def __init__(
        self, config: SegmentsSpaceConfig, sources: Mapping[str, Source], models: ModelFacts
    ) -> None:
        """Raises:
        ConfigError: the seeds are not what members can be bred from.
        RecipeError: a chromosome selects no tensor.
        """
        self._config, self._seeds = config, config.chosen(sources)
        self._where = config.chromosomes
        self._base = next(iter(self._seeds)) if config.base is None else config.base
        donor = sources[self._base]
        self._inputs = {**self._seeds, self._base: donor}
        grids = models.grids(donor, config.chromosomes, config.resolution)

        def measure() -> list[Grams]:
            seeds = list(self._seeds.values())
            matrices = models.grams(seeds, donor, config.chromosomes, config.resolution)
            return [Grams(grid, own) for grid, own in zip(grids, matrices, strict=True)]

        self._seed_pool = SeedPool(tuple(self._seeds), grids, measure, config.base)

    @property
    def genes(self) -> tuple[CoefficientsGene, ...]:
        """The table alone."""
        return (CoefficientsGene(name=GENE, seeds=self._seed_pool.seeds),)

    @property
    def seed_pool(self) -> SeedPool:
        """What members are crossed over."""
        return self._seed_pool

    def baselines(self) -> dict[str, Recipe]:
        """Each seed, their uniform merge and, with a base beside them, the base and plain task
        arithmetic."""
        return self.plain_merges.baselines()

    @property
    def plain_merges(self) -> PlainMerges:
        """Over the seeds."""
        base = self._config.base
        beside = base is not None and base not in self._seeds
        return PlainMerges(
            dict(self._seeds), (base, self._inputs[base]) if base is not None and beside else None
        )

    def recipe(self, genome: Genome) -> Segments:
        """The recipe of a genome.

        Raises:
            RecipeError: it is no table over these seeds.
        """
        try:
            table = PiecewiseCoefficients.from_text(str(genome[0]))
        except ValueError as problem:
            raise RecipeError(str(problem)) from None
        if (table.seeds, table.sizes) != (self._seed_pool.seeds, self._seed_pool.sizes):
            raise RecipeError(
                f"a table over {', '.join(table.seeds)} with {list(table.sizes)} elements is none"
                f" over {', '.join(self._seed_pool.seeds)} with {list(self._seed_pool.sizes)}"
            )
        chromosomes = [
            Chromosome(
                where=where,
                ends=tuple(part.ends.tolist()),
                coefficients=self._coefficients(table, part),
            )
            for where, part in zip(self._where, table.chromosomes, strict=True)
        ]
        inputs: dict[str, Recipe] = dict(self._inputs)
        if table.noise:
            inputs[NOISE] = self._noise(table)
        return Segments(base=self._base, inputs=inputs, chromosomes=tuple(chromosomes))

    def _coefficients(
        self, table: PiecewiseCoefficients, part: ChromosomeSegments
    ) -> dict[str, tuple[float, ...]]:
        """Coefficients by input; the noise contains the base, so the base is subtracted again."""
        columns = dict(zip(table.seeds, part.coefficients.T, strict=True))
        if table.noise:
            columns[NOISE] = np.ones(len(part.ends))
            columns[self._base] = columns.get(self._base, np.zeros(len(part.ends))) - columns[NOISE]
        return {name: tuple(column.tolist()) for name, column in columns.items() if column.any()}

    def _noise(self, table: PiecewiseCoefficients) -> Merge:
        """The base with the steps."""
        steps = {name: self._inputs[name.rpartition("~")[0]] for name, _ in table.noise}
        return Merge(
            method="singular_noise",
            base=self._base,
            inputs={self._base: self._inputs[self._base], **steps},
            rules=(Rule(inputs={name: {"weight": share} for name, share in table.noise}),),
        )

    def genome(self, recipe: Recipe) -> Genome:
        """The genome of a recipe that the space holds: the inverse of `recipe`.

        Raises:
            RecipeError: the space does not hold it, and why.
        """
        if not isinstance(recipe, Segments):
            raise RecipeError(f"it is a {recipe.kind}, and this space holds segments")
        if noise := recipe.inputs.get(NOISE):
            return self._genome_with_noise(recipe, noise)
        own = {"inputs": self._inputs, "base": self._base}
        for key, value in own.items():
            if getattr(recipe, key) != value:
                raise RecipeError(f"its {key!r} is not this space's")
        if tuple(chromosome.where for chromosome in recipe.chromosomes) != self._where:
            raise RecipeError("its chromosomes are not this space's")
        parts = []
        for number, (chromosome, grid) in enumerate(
            zip(recipe.chromosomes, self._seed_pool.grids, strict=True)
        ):
            extra = sorted(chromosome.coefficients.keys() - set(self._seed_pool.seeds))
            if extra:
                raise RecipeError(f"chromosome {number} has coefficients of {extra[0]!r}, no seed")
            none = (0.0,) * len(chromosome.ends)
            columns = [chromosome.coefficients.get(name, none) for name in self._seed_pool.seeds]
            part = ChromosomeSegments.of(chromosome.ends, list(zip(*columns, strict=True))).joined()
            try:
                grid.indices(part.ends)
            except ValueError as problem:
                raise RecipeError(f"chromosome {number}: {problem}") from None
            if part.size != grid.size:
                raise RecipeError(
                    f"chromosome {number} ends at {part.size}, and there are {grid.size} elements"
                )
            parts.append(part)
        return (PiecewiseCoefficients(self._seed_pool.seeds, tuple(parts)).to_text(),)

    def _genome_with_noise(self, recipe: Segments, noise: Recipe) -> Genome:
        rest = {
            "inputs": {name: child for name, child in recipe.inputs.items() if name != NOISE},
            "chromosomes": tuple(
                _without_noise(chromosome, self._base) for chromosome in recipe.chromosomes
            ),
        }
        rule = noise.rules[-1] if isinstance(noise, Merge) else Rule()
        steps = {
            name: float(parameters.get("weight", 0.0)) for name, parameters in rule.inputs.items()
        }
        table = PiecewiseCoefficients.from_text(str(self.genome(recipe.model_copy(update=rest))[0]))
        try:
            table = replace(table, noise=tuple(sorted(steps.items())))
        except ValueError as problem:
            raise RecipeError(str(problem)) from None
        if self._noise(table) != noise:
            raise RecipeError(f"its input {NOISE!r} is not the one that this space would build")
        return (table.to_text(),)

    def landmarks(self) -> dict[str, Genome]:
        """Each seed, from which everything is bred, and the uniform merge of all."""
        seeds, sizes = self._seed_pool.seeds, self._seed_pool.sizes
        genomes: dict[str, Genome] = {
            f"seed:{name}": (PiecewiseCoefficients.seed(seeds, sizes, name).to_text(),)
            for name in seeds
        }
        equal = dict.fromkeys(seeds, 1 / len(seeds))
        genomes["uniform"] = (PiecewiseCoefficients.constant(seeds, sizes, equal).to_text(),)
        return genomes

    def samples(self) -> list[Recipe]:
        """The uniform merge: a check that it passes holds for all of the space."""
        return [self.recipe(self.landmarks()["uniform"])]


def _without_noise(chromosome: Chromosome, base: str) -> Chromosome:
    """The chromosome without noise, with the base's coefficients as they were before it."""
    nothing = (0.0,) * len(chromosome.ends)
    columns = dict(chromosome.coefficients)
    taken = np.array(columns.pop(NOISE, nothing))
    own = (np.array(columns.pop(base, nothing)) + taken).round(DECIMALS)
    if own.any():
        columns[base] = tuple(own.tolist())
    return chromosome.model_copy(update={"coefficients": columns})
