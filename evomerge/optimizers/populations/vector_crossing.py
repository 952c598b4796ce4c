"""Crossing of genomes that are lists of numbers and categories."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evomerge.errors import ConfigError
from evomerge.optimizers.coordinates import from_cube, to_cube
from evomerge.optimizers.initial_distribution import sample_initial
from evomerge.optimizers.populations.crossing import CrossingConfig
from evomerge.recipe.arc import angle
from evomerge.recipe.genome import ChoiceGene, FloatGene, Genome, Scalar

__all__ = ["VectorCrossing", "angle_between", "shares"]

Array = NDArray[np.float64]

SPREAD = 1 / 6
"""Standard deviation of a founder's floats around their starts, as a share of their ranges."""


class VectorCrossing:
    """A member is a point (genes,) of the unit cube; a category is the middle of its interval.

    Floats are interpolated as one vector of values in the genes' own units, and moved back into
    their ranges. A category comes from the parent that has the larger share there.
    """

    def __init__(self, config: CrossingConfig, genes: Sequence[Scalar]) -> None:
        if config.split == "layer":
            raise ConfigError(
                "split: layer is for a space whose genome is a table of segments; this one's is a"
                " list of genes, so take split: position"
            )
        self._config, self._genes = config, genes
        self._units = _Units(genes)
        self._chromosomes = _chromosomes(config.chromosomes, [gene.name for gene in genes])

    def read(self, genome: Genome) -> Array:
        """The member that a genome stands for."""
        if self._units.floats.all():
            return np.array(genome, dtype=np.float64)
        return to_cube(self._genes, genome)

    def genome(self, member: Array) -> Genome:
        """The genome of a member."""
        if self._units.floats.all():
            return tuple(member.tolist())
        return from_cube(self._genes, member)

    def seeds(self) -> Sequence[Array]:
        """None: genes name no seeds."""
        return []

    def founder(self, rng: np.random.Generator) -> Array:
        """A point drawn from the genes' initial distribution; uniform where they have none."""
        return self.read(sample_initial(self._genes, SPREAD, rng))

    def cross(self, a: Array, b: Array, rng: np.random.Generator) -> Array:
        """A child by SLERP, linear interpolation or neither, chromosome by chromosome (equation
        2).
        """
        if self._config.crossover == "none":
            return a
        child = np.empty_like(a)
        first, second = self._units.values(a), self._units.values(b)
        for places in self._chromosomes:
            low, high = self._config.ratio
            end = len(places)
            split = end if self._config.split == "none" else int(rng.integers(end))
            w = low + (high - low) * rng.random()
            child[places] = self._mixed(first[places], second[places], split, w, places)
        return self._units.point(child)

    def blend(self, a: Array, b: Array, t: float) -> Array:
        """(1 - t) A + t B, whatever the configuration."""
        first, second = self._units.values(a), self._units.values(b)
        floats = self._units.floats
        child = np.where(floats, (1.0 - t) * first + t * second, first if t < 0.5 else second)
        return self._units.point(child)

    def toward(
        self, member: Array, expert: Array, reach: float, number: int, rng: np.random.Generator
    ) -> Array:
        """Move all genes by the same random share of the way to the expert."""
        return self.blend(member, expert, reach * rng.random())

    def mutate(self, member: Array, rng: np.random.Generator) -> Array:
        """The member with the configured noise added."""
        sigma = self._config.mutation
        if sigma == 0:
            return member
        noise = sigma * rng.standard_normal(len(member))
        if self._units.floats.all():
            return np.clip(member + noise, 0.0, 1.0)
        anew = rng.random(len(member)) < sigma
        drawn = self._units.inside(rng.random(len(member)))
        moved = np.clip(member + noise, 0.0, 1.0)
        return np.where(self._units.floats, moved, np.where(anew, drawn, member))

    def _mixed(self, a: Array, b: Array, split: int, w: float, places: NDArray[np.intp]) -> Array:
        """Equation 2: f_w(A, B) before the split, f_{1-w}(A, B) from it on."""
        floats = self._units.floats[places]
        child = np.empty_like(a)
        whole = self._angle(a[floats], b[floats])
        for part, t in ((slice(0, split), w), (slice(split, None), 1.0 - w)):
            only = floats[part]
            omega = whole
            if self._config.angle == "segment":
                omega = self._angle(a[part][only], b[part][only])
            of_a, of_b = shares(omega, t)
            child[part] = of_a * a[part] + of_b * b[part]
            if not only.all():
                child[part][~only] = (a if t < 0.5 else b)[part][~only]
        return child

    def _angle(self, a: Array, b: Array) -> float | None:
        return angle_between(a, b) if self._config.crossover == "slerp" else None


def angle_between(a: Array, b: Array) -> float | None:
    """Of two vectors; None where spherical interpolation has to be linear, as they are parallel or
    one of them is 0.
    """
    # Sums without BLAS: what is asked must not depend on its number of threads.
    lengths = math.sqrt((a * a).sum() * (b * b).sum())
    return angle(float((a * b).sum()), lengths)


def shares(omega: float | None, t: float) -> tuple[float, float]:
    """The coefficients of A and B in their interpolation at t: spherical, linear without an angle.

    sin((1 - t) w) / sin w and sin(t w) / sin w (Shoemake 1985, "Animating rotation with quaternion
    curves"), for vectors of any length.
    """
    if omega is None:
        return 1.0 - t, t
    return math.sin((1.0 - t) * omega) / math.sin(omega), math.sin(t * omega) / math.sin(omega)


def _chromosomes(parts: Sequence[str], names: Sequence[str]) -> list[NDArray[np.intp]]:
    """The genes' places in each chromosome, those without genes left out.

    Raises:
        ConfigError: no gene has such a part in its name.
    """
    rest = list(range(len(names)))
    chromosomes = []
    for part in parts:
        own = [i for i in rest if part in names[i]]
        if not own:
            raise ConfigError(
                f"chromosomes: no gene has {part!r} in its name (and in none before);"
                f" the first genes are {', '.join(names[:4])}"
            )
        rest = [i for i in rest if part not in names[i]]
        chromosomes.append(own)
    return [np.array(places, dtype=np.intp) for places in (*chromosomes, rest) if places]


class _Units:
    """Between the unit cube and the genes' own units, all genes at once; categories stay as they
    are in the cube."""

    def __init__(self, genes: Sequence[Scalar]) -> None:
        self.floats = np.array([isinstance(gene, FloatGene) for gene in genes])
        self._log = np.array([isinstance(gene, FloatGene) and gene.log for gene in genes])
        self._choices = np.array(
            [len(g.choices) if isinstance(g, ChoiceGene) else 1 for g in genes]
        )
        ends = [(g.low, g.high) if isinstance(g, FloatGene) else (0.0, 1.0) for g in genes]
        self._low, self._high = np.array(ends, dtype=np.float64).T
        if self._log.any():
            self._low[self._log] = np.log(self._low[self._log])
            self._high[self._log] = np.log(self._high[self._log])

    def values(self, point: Array) -> Array:
        values: Array = self._low + point * (self._high - self._low)
        if self._log.any():
            values[self._log] = np.exp(values[self._log])
        return values

    def point(self, values: Array) -> Array:
        """The nearest point of the cube."""
        if self._log.any():
            values = values.copy()
            values[self._log] = np.log(np.maximum(values[self._log], 1e-300))
        nearest: Array = np.clip((values - self._low) / (self._high - self._low), 0.0, 1.0)
        return nearest

    def inside(self, point: Array) -> Array:
        """Categories moved to the middle of their intervals."""
        middles = (np.floor(point * self._choices) + 0.5) / self._choices
        return np.where(self.floats, point, middles)
