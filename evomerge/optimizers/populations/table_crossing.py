"""Crossing of genomes that are tables of coefficients over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from evomerge.errors import ConfigError
from evomerge.optimizers.populations.crossing import CrossingConfig
from evomerge.recipe.genome import Genome
from evomerge.recipe.grid import Grid
from evomerge.recipe.seed_pool import Stock
from evomerge.recipe.segments import DECIMALS, Strand, Table, blend, cross

__all__ = ["TableCrossing"]


class TableCrossing:
    """A member is a `Table`; angles come from the stock's Gram matrices, measured at first need.

    Splits lie where a cell of the stock's grid begins, or anywhere if nothing needs an angle. Noise
    on every weight is no combination of the seeds, so a table cannot hold it: a mutation shifts
    each seed's coefficients throughout a chromosome instead.
    """

    def __init__(self, config: CrossingConfig, stock: Stock) -> None:
        self._config, self._stock = config, stock

    def read(self, genome: Genome) -> Table:
        return Table.from_text(str(genome[0]))

    def genome(self, member: Table) -> Genome:
        return (member.to_text(),)

    def seeds(self) -> Sequence[Table]:
        stock = self._stock
        return [Table.seed(stock.seeds, stock.sizes, name) for name in stock.seeds]

    def founder(self, rng: np.random.Generator) -> Table:
        """Shares of all seeds that add up to 1, chromosome by chromosome, drawn evenly."""
        seeds = self._stock.seeds
        drawn = rng.dirichlet(np.ones(len(seeds)), len(self._stock.sizes)).round(DECIMALS)
        pairs = zip(self._stock.sizes, drawn.tolist(), strict=True)
        return Table(seeds, tuple(Strand.of([size], [row]) for size, row in pairs))

    def cross(self, a: Table, b: Table, rng: np.random.Generator) -> Table:
        config = self._config
        if config.crossover == "none":
            return a
        if a.noise or b.noise:
            raise ConfigError(
                "a member with steps along singular directions can only be bred on by cycle_qd;"
                " leave it out of warm_start, or export it as a model and make that a seed"
            )
        low, high = config.ratio
        splits, ratios = [], []
        for grid in self._stock.grids:
            splits.append(self._split(grid, rng))
            ratios.append(low + (high - low) * rng.random())
        grams = self._stock.grams if config.crossover == "slerp" else None
        return cross(a, b, splits=splits, ratios=ratios, grams=grams, angle=config.angle)

    def blend(self, a: Table, b: Table, t: float) -> Table:
        return blend(a, b, t)

    def toward(
        self, member: Table, expert: Table, reach: float, number: int, rng: np.random.Generator
    ) -> Table:
        """Along the singular directions of the seeds that make up the expert; where there is no
        origin that they changed from, all directions share one step."""
        origin = self._stock.origin
        if origin is None:
            return self.blend(member, expert, reach * rng.random())
        steps = {
            seed: round(reach * share, DECIMALS)
            for seed, share in expert.shares().items()
            if seed != origin
        }
        return member.stepped(number, steps)

    def mutate(self, member: Table, rng: np.random.Generator) -> Table:
        if self._config.mutation == 0:
            return member
        shape = len(member.chromosomes), len(member.seeds)
        noise = self._config.mutation * rng.standard_normal(shape)
        strands = [
            Strand(one.ends, (one.coefficients + by).round(DECIMALS) + 0.0).joined()
            for one, by in zip(member.chromosomes, noise, strict=True)
        ]
        return replace(member, chromosomes=tuple(strands))

    def _split(self, grid: Grid, rng: np.random.Generator) -> int:
        match self._config.split:
            case "none":
                return grid.size
            case "layer":
                return int(rng.choice(grid.blocks))
            case "position":
                drawn = int(rng.integers(grid.size))
                return grid.below(drawn) if self._config.crossover == "slerp" else drawn
