"""Crossing of genomes that are tables of coefficients over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from evomerge.errors import ConfigError
from evomerge.optimizers.populations.crossing import CrossingConfig
from evomerge.recipe.genome import Genome
from evomerge.recipe.grid import Grid
from evomerge.recipe.seed_pool import SeedPool
from evomerge.recipe.segments import (
    DECIMALS,
    ChromosomeSegments,
    PiecewiseCoefficients,
    blend,
    cross,
)

__all__ = ["CoefficientsCrossing"]


class CoefficientsCrossing:
    """A member is a table; angles come from the seed pool's Gram matrices, measured when needed.

    Splits lie where a cell of the seed pool's grid begins, or anywhere if nothing needs an angle.
    Noise on every weight is no combination of the seeds, so a table cannot hold it: a mutation
    shifts each seed's coefficients throughout a chromosome instead.
    """

    def __init__(self, config: CrossingConfig, seed_pool: SeedPool) -> None:
        self._config, self._seed_pool = config, seed_pool

    def read(self, genome: Genome) -> PiecewiseCoefficients:
        """The member that a genome stands for."""
        return PiecewiseCoefficients.from_text(str(genome[0]))

    def genome(self, member: PiecewiseCoefficients) -> Genome:
        """The genome of a member."""
        return (member.to_text(),)

    def seeds(self) -> Sequence[PiecewiseCoefficients]:
        """The seeds of the space, as members."""
        seed_pool = self._seed_pool
        return [
            PiecewiseCoefficients.seed(seed_pool.seeds, seed_pool.sizes, name)
            for name in seed_pool.seeds
        ]

    def founder(self, rng: np.random.Generator) -> PiecewiseCoefficients:
        """Shares of all seeds that add up to 1, chromosome by chromosome, drawn evenly."""
        seeds = self._seed_pool.seeds
        drawn = rng.dirichlet(np.ones(len(seeds)), len(self._seed_pool.sizes)).round(DECIMALS)
        pairs = zip(self._seed_pool.sizes, drawn.tolist(), strict=True)
        return PiecewiseCoefficients(
            seeds, tuple(ChromosomeSegments.of([size], [row]) for size, row in pairs)
        )

    def cross(
        self, a: PiecewiseCoefficients, b: PiecewiseCoefficients, rng: np.random.Generator
    ) -> PiecewiseCoefficients:
        """A child by SLERP, linear interpolation or neither, chromosome by chromosome (equation 2).

        Raises:
            ConfigError: a parent has steps along singular directions, which have no ranges.
        """
        config = self._config
        if config.crossover == "none":
            return a
        if a.noise or b.noise:
            raise ConfigError(
                "a member with steps along singular directions can only be crossed by cycle_qd;"
                " leave it out of warm_start, or export it as a model and make that a seed"
            )
        low, high = config.ratio
        splits, ratios = [], []
        for grid in self._seed_pool.grids:
            splits.append(self._split(grid, rng))
            ratios.append(low + (high - low) * rng.random())
        grams = self._seed_pool.grams if config.crossover == "slerp" else None
        return cross(a, b, splits=splits, ratios=ratios, grams=grams, angle=config.angle)

    def blend(
        self, a: PiecewiseCoefficients, b: PiecewiseCoefficients, t: float
    ) -> PiecewiseCoefficients:
        """(1 - t) A + t B, whatever the configuration."""
        return blend(a, b, t)

    def toward(
        self,
        member: PiecewiseCoefficients,
        expert: PiecewiseCoefficients,
        reach: float,
        number: int,
        rng: np.random.Generator,
    ) -> PiecewiseCoefficients:
        """Along the singular directions of the seeds that make up the expert; where the seeds'
        base is not known, all directions share one step."""
        base = self._seed_pool.base
        if base is None:
            return self.blend(member, expert, reach * rng.random())
        steps = {
            seed: round(reach * share, DECIMALS)
            for seed, share in expert.shares().items()
            if seed != base
        }
        return member.stepped(number, steps)

    def mutate(
        self, member: PiecewiseCoefficients, rng: np.random.Generator
    ) -> PiecewiseCoefficients:
        """The member with noise on each seed's coefficients, the same throughout a chromosome."""
        if self._config.mutation == 0:
            return member
        shape = len(member.chromosomes), len(member.seeds)
        noise = self._config.mutation * rng.standard_normal(shape)
        parts = [
            ChromosomeSegments(part.ends, (part.coefficients + by).round(DECIMALS) + 0.0).joined()
            for part, by in zip(member.chromosomes, noise, strict=True)
        ]
        return replace(member, chromosomes=tuple(parts))

    def _split(self, grid: Grid, rng: np.random.Generator) -> int:
        match self._config.split:
            case "none":
                return grid.size
            case "layer":
                return int(rng.choice(grid.blocks))
            case "position":
                drawn = int(rng.integers(grid.size))
                return grid.below(drawn) if self._config.crossover == "slerp" else drawn
