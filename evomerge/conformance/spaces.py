"""The search space contract as a suite: what an implementation must pass, ours and yours.

A plugin's test is

    @pytest.mark.parametrize("law", LAWS)
    def test_contract(law):
        LAWS[law](SpaceSubject(space=MySpace(config, sources, models)))

Each law is a function that returns if the space keeps it and raises `LawBroken` if not. They look
at some fifty genomes; no model is read but by the space itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from evomerge.conformance.laws import LawBroken, require
from evomerge.errors import RecipeError
from evomerge.optimizers.populations.crossing import CrossingConfig
from evomerge.optimizers.populations.crossings import crossing_of
from evomerge.optimizers.problem import Problem
from evomerge.recipe.digest import digest, plain
from evomerge.recipe.genome import ChoiceGene, Genome, Scalar
from evomerge.recipe.tree import Recipe
from evomerge.search_spaces.base import SearchSpace

__all__ = ["LAWS", "LawBroken", "SpaceSubject"]


@dataclass(frozen=True, kw_only=True)
class SpaceSubject:
    """A search space under test."""

    space: SearchSpace
    lawful: Callable[[Recipe], object] = lambda recipe: None
    """Raises where a recipe breaks the laws of recipes or models, as `evomerge check` would."""
    inverts: bool = True
    """Whether the space tells the genome of its own recipes."""
    draws: int = 40
    """How many random genomes are tried."""

    def genomes(self) -> list[Genome]:
        """Random points, and where all genes are numbers and choices the corners of the space."""
        rng = np.random.default_rng(0)
        genes = self.space.genes
        if self.space.seed_pool is not None:
            problem = Problem(genes=genes, seed=0, seed_pool=self.space.seed_pool)
            crossing = crossing_of(CrossingConfig(), problem, "a search")
            founders = [crossing.founder(rng) for _ in range(self.draws // 2)]
            children = [crossing.cross(a, b, rng) for a, b in pairwise(founders)]
            return [crossing.genome(member) for member in (*founders, *children)]
        scalars = Problem(genes=genes, seed=0).scalars("a search")
        corners = [tuple(_end(gene, high) for gene in scalars) for high in (False, True)]
        drawn = [tuple(_drawn(gene, rng) for gene in scalars) for _ in range(self.draws)]
        return [*corners, *drawn]


def genes_have_names(subject: SpaceSubject) -> None:
    """There is a gene at least, and no two have one name."""
    names = [gene.name for gene in subject.space.genes]
    require(bool(names), "a space has genes")
    require(len(set(names)) == len(names), "every gene has a name of its own")


def every_genome_is_a_recipe(subject: SpaceSubject) -> None:
    """The map is total: random genomes and corners all give recipes, and lawful ones."""
    for genome in subject.genomes():
        subject.lawful(subject.space.recipe(genome))


def the_map_is_pure(subject: SpaceSubject) -> None:
    """A genome has the same recipe each time, whatever was asked in between."""
    genomes = subject.genomes()
    before = [digest(subject.space.recipe(genome)) for genome in genomes]
    after = [digest(subject.space.recipe(genome)) for genome in reversed(genomes)]
    require(before == after[::-1], "the same genome is the same recipe")


def a_recipe_has_a_genome(subject: SpaceSubject) -> None:
    """The genome that the space tells of its own recipe makes that recipe again."""
    for genome in subject.genomes():
        recipe = subject.space.recipe(genome)
        try:
            known = subject.space.genome(recipe)
        except RecipeError:
            require(not subject.inverts, "the space holds its own recipes")
            return
        same = _close(plain(subject.space.recipe(known)), plain(recipe))
        require(same, "recipe(genome(recipe)) is the recipe, but for rounding")


def idle_genes_change_nothing(subject: SpaceSubject) -> None:
    """`active` has an entry a gene, and those that do not matter leave the recipe as it is."""
    rng = np.random.default_rng(1)
    for genome in subject.genomes():
        active = subject.space.active(genome)
        require(len(active) == len(genome), "active has an entry a gene")
        if all(active):
            continue
        right = tuple(
            value if matters or not isinstance(gene, Scalar) else _drawn(gene, rng)
            for gene, value, matters in zip(subject.space.genes, genome, active, strict=True)
        )
        same = digest(subject.space.recipe(right)) == digest(subject.space.recipe(genome))
        require(same, "a gene that does not matter changes nothing")


def landmarks_are_points(subject: SpaceSubject) -> None:
    """Landmarks are genomes of the space, the same each time, and lawful recipes."""
    landmarks = dict(subject.space.landmarks())
    require(landmarks == dict(subject.space.landmarks()), "landmarks stay the same")
    for genome in landmarks.values():
        require(len(genome) == len(subject.space.genes), "a landmark has an entry a gene")
        for gene, value in zip(subject.space.genes, genome, strict=True):
            if isinstance(gene, ChoiceGene):
                require(value in gene.choices, f"{gene.name} is one of its choices")
            elif isinstance(gene, Scalar):
                inside = not isinstance(value, str) and 0 <= value <= 1
                require(inside, f"{gene.name} lies in [0, 1]")
        subject.lawful(subject.space.recipe(genome))


def samples_and_baselines_are_lawful(subject: SpaceSubject) -> None:
    """There are samples; they, the baselines and the plain merges are lawful recipes."""
    samples = list(subject.space.samples())
    require(bool(samples), "a space has samples")
    for recipe in (*samples, *subject.space.baselines().values()):
        subject.lawful(recipe)
    if (plain_merges := subject.space.plain_merges) is not None:
        names = list(plain_merges.parents)
        require(bool(names), "plain merges have parents")
        subject.lawful(plain_merges.uniform(names))
        if (summed := plain_merges.task_arithmetic(1.0, names)) is not None:
            subject.lawful(summed)


LAWS: Mapping[str, Callable[[SpaceSubject], None]] = {
    law.__name__: law
    for law in (
        genes_have_names,
        every_genome_is_a_recipe,
        the_map_is_pure,
        a_recipe_has_a_genome,
        idle_genes_change_nothing,
        landmarks_are_points,
        samples_and_baselines_are_lawful,
    )
}
"""Every law by name."""


def _drawn(gene: Scalar, rng: np.random.Generator) -> float | str:
    if isinstance(gene, ChoiceGene):
        return str(rng.choice(gene.choices))
    return float(rng.random())


def _end(gene: Scalar, high: bool) -> float | str:
    return gene.choices[-1 if high else 0] if isinstance(gene, ChoiceGene) else float(high)


def _close(left: Any, right: Any) -> bool:
    """Whether plain data are equal, numbers to their ninth digit."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_close(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(_close, left, right))
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
    return bool(left == right)
