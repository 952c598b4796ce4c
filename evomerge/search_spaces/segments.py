"""Natural niches over language models: members are tables of coefficients over seeds.

M2N2 (2508.16204) breeds models by crossing them at split points of the flat weight vector. A
genome here is one table, as text: an optimizer that crosses members (`natural_niches`, a genetic
algorithm) makes new ones of those that it has, over the space's `stock`, and the space turns each
into a recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, field_validator

from evomerge.errors import ConfigError, RecipeError, did_you_mean
from evomerge.recipe.genome import Genome, TableGene
from evomerge.recipe.grid import RESOLUTION, Grams, Grid
from evomerge.recipe.segments import Strand, Table
from evomerge.recipe.selector import Selector
from evomerge.recipe.source import Source
from evomerge.recipe.stock import Stock
from evomerge.recipe.tree import Chromosome, Recipe, Segments
from evomerge.recipe.value import Value

__all__ = ["SegmentsSpace", "SegmentsSpaceConfig"]

GENE = "table"


class SegmentsSpaceConfig(Value):
    """`space: {kind: segments, ...}` of a job, or a catalog entry of that shape."""

    kind: Literal["segments"]
    description: str = ""
    seeds: tuple[str, ...] | None = None
    """The sources that members are combinations of; None: all but a `base` that is named."""
    base: str | None = None
    """The source that gives configuration, tokenizer and buffers, a seed or not; None: the first
    seed."""
    chromosomes: tuple[Selector, ...] = (Selector(),)
    """Shares of the weights that are crossed each at a split point of its own; a tensor belongs to
    the first that selects it, and the last selects all."""
    resolution: Annotated[int, Field(ge=1)] = RESOLUTION
    """Cells that a chromosome is cut into: a split point lies where one begins. Each layer begins
    one, too."""

    @field_validator("chromosomes")
    @classmethod
    def _covers(cls, where: tuple[Selector, ...]) -> tuple[Selector, ...]:
        if not where or not where[-1].matches_all:
            raise ValueError("the last one must select all tensors ({})")
        return where

    def chosen(self, sources: Mapping[str, Source], origin: str) -> dict[str, Source]:
        """The seeds by name, in their order.

        Raises:
            ConfigError: a name that is no source, or twice; fewer than two seeds.
        """
        names = self.seeds or tuple(name for name in sources if name != self.base)
        for key, name in [*(("seeds", name) for name in names), ("base", self.base)]:
            if name is not None and name not in sources:
                raise ConfigError(
                    f"{origin}.{key}: {name!r} is not among the sources;"
                    f" {did_you_mean(name, sources)}"
                )
        if len(set(names)) != len(names):
            raise ConfigError(f"{origin}.seeds: a seed is named twice in {', '.join(names)}")
        if len(names) < 2:
            raise ConfigError(
                f"{origin}.seeds: members are bred from at least two seeds, got {len(names)}"
                f" ({', '.join(names) or 'none'})"
            )
        return {name: sources[name] for name in names}

    def donor(self, sources: Mapping[str, Source], origin: str) -> str:
        """The name of the source that gives configuration and tokenizer; raises as `chosen`."""
        return self.base or next(iter(self.chosen(sources, origin)))


class SegmentsSpace:
    """Genome -> `Segments` recipe. Every recipe has all seeds as inputs, whatever their shares."""

    def __init__(
        self,
        config: SegmentsSpaceConfig,
        sources: Mapping[str, Source],
        *,
        grids: tuple[Grid, ...],
        measure: Callable[[], Sequence[Grams]],
    ) -> None:
        """`grids`: one a chromosome; `measure` gives the seeds' Gram matrices over them."""
        seeds = config.chosen(sources, "space")
        self._where, self._base = config.chromosomes, config.donor(sources, "space")
        self._inputs = {**seeds, self._base: sources[self._base]}
        self._stock = Stock(tuple(seeds), grids, measure)

    @property
    def genes(self) -> tuple[TableGene, ...]:
        """The table alone."""
        return (TableGene(name=GENE, seeds=self._stock.seeds),)

    @property
    def stock(self) -> Stock:
        """What members are crossed over."""
        return self._stock

    def recipe(self, genome: Genome) -> Segments:
        """The recipe of a genome.

        Raises:
            RecipeError: it is no table over these seeds.
        """
        try:
            table = Table.from_text(str(genome[0]))
        except ValueError as problem:
            raise RecipeError(str(problem)) from None
        if (table.seeds, table.sizes) != (self._stock.seeds, self._stock.sizes):
            raise RecipeError(
                f"a table over {', '.join(table.seeds)} with {list(table.sizes)} elements is none"
                f" over {', '.join(self._stock.seeds)} with {list(self._stock.sizes)}"
            )
        chromosomes = [
            Chromosome(
                where=where,
                ends=tuple(strand.ends.tolist()),
                coefficients={
                    name: tuple(column)
                    for name, column in zip(
                        table.seeds, strand.coefficients.T.tolist(), strict=True
                    )
                    if any(column)
                },
            )
            for where, strand in zip(self._where, table.chromosomes, strict=True)
        ]
        return Segments(base=self._base, inputs=self._inputs, chromosomes=tuple(chromosomes))

    def genome(self, recipe: Recipe) -> Genome:
        """The genome of a recipe that the space holds: the inverse of `recipe`.

        Raises:
            RecipeError: the space does not hold it, and why.
        """
        if not isinstance(recipe, Segments):
            raise RecipeError(f"it is a {recipe.kind}, and this space holds segments")
        own = {"inputs": self._inputs, "base": self._base}
        for key, value in own.items():
            if getattr(recipe, key) != value:
                raise RecipeError(f"its {key!r} is not this space's")
        if tuple(one.where for one in recipe.chromosomes) != self._where:
            raise RecipeError("its chromosomes are not this space's")
        strands = []
        for number, (one, grid) in enumerate(
            zip(recipe.chromosomes, self._stock.grids, strict=True)
        ):
            extra = sorted(one.coefficients.keys() - set(self._stock.seeds))
            if extra:
                raise RecipeError(f"chromosome {number} has coefficients of {extra[0]!r}, no seed")
            none = (0.0,) * len(one.ends)
            columns = [one.coefficients.get(name, none) for name in self._stock.seeds]
            strand = Strand.of(one.ends, list(zip(*columns, strict=True))).joined()
            try:
                grid.indices(strand.ends)
            except ValueError as problem:
                raise RecipeError(f"chromosome {number}: {problem}") from None
            if strand.size != grid.size:
                raise RecipeError(
                    f"chromosome {number} ends at {strand.size}, and there are {grid.size} elements"
                )
            strands.append(strand)
        return (Table(self._stock.seeds, tuple(strands)).to_text(),)

    def active(self, genome: Genome) -> tuple[bool, ...]:
        """The one gene matters."""
        return (True,)

    def landmarks(self) -> dict[str, Genome]:
        """Each seed, from which everything is bred, and the uniform merge of all."""
        seeds, sizes = self._stock.seeds, self._stock.sizes
        found: dict[str, Genome] = {
            f"seed:{name}": (Table.seed(seeds, sizes, name).to_text(),) for name in seeds
        }
        equal = dict.fromkeys(seeds, 1 / len(seeds))
        found["uniform"] = (Table.constant(seeds, sizes, equal).to_text(),)
        return found

    def samples(self) -> list[Recipe]:
        """The uniform merge: what is lawful for it is for all of the space."""
        return [self.recipe(self.landmarks()["uniform"])]
