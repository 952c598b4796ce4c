"""What a job knows before its search begins, as genomes of its space.

Landmarks are tried first; what another study found is only told to the optimizer, as its result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from evomerge.config import WarmStart
from evomerge.errors import ConfigError, about, did_you_mean
from evomerge.optimizers.problem import Earlier
from evomerge.recipe.genome import ChoiceGene, FloatGene, Genome
from evomerge.search_spaces.base import SearchSpace, encode

__all__ = ["earlier", "landmarks", "moved"]


def landmarks(warm_start: WarmStart, space: SearchSpace) -> dict[str, Genome]:
    """Label -> genome, in this order: the space's landmarks, sparsified parents and sums where they
    are asked for, then the job's known genomes, then its known recipes.

    Raises:
        ConfigError: a genome lacks a gene or has one too many.
        RecipeError: the space does not hold a recipe.
    """
    known = dict(space.landmarks()) if warm_start.landmarks else {}
    if warm_start.sparsified is not None:
        known |= _sparsified(space, warm_start.sparsified)
    if warm_start.sums:
        known |= _sums(space)
    for number, values in enumerate(warm_start.genomes):
        known[f"genome:{number}"] = _genome(space, values, f"warm_start.genomes.{number}")
    for number, recipe in enumerate(warm_start.recipes):
        with about(f"warm_start.recipes.{number}: the space does not hold this recipe"):
            known[f"recipe:{number}"] = space.genome(recipe)
    return known


def moved(warm_start: WarmStart, space: SearchSpace) -> Iterator[str]:
    """A sentence for each number of a known genome that is tried at its range's nearest end."""
    for number, values in enumerate(warm_start.genomes):
        for gene in space.genes:
            if not isinstance(gene, FloatGene):
                continue
            value = float(values[gene.name])
            if not gene.low <= value <= gene.high:
                end = gene.value(gene.unit(value))
                yield (
                    f"warm_start.genomes.{number}.{gene.name}: {value:g} lies outside the space's"
                    f" {gene.low:g} to {gene.high:g}, and {end:g} is tried"
                )


def earlier(warm_start: WarmStart, space: SearchSpace) -> tuple[Earlier, ...]:
    """What another study found (`warm_start.study`).

    Raises:
        ConfigError: a gene of the space is none of its genes, or has another choice there.
    """
    solutions = warm_start.solutions
    for gene in space.genes if solutions else ():
        theirs = {solution.genes.get(gene.name) for solution in solutions}
        if None in theirs:
            names = list(solutions[0].genes)
            raise ConfigError(
                f"warm_start.study: its candidates have no gene {gene.name!r};"
                f" {did_you_mean(gene.name, names)}"
            )
        if isinstance(gene, ChoiceGene) and not theirs <= set(gene.choices):
            raise ConfigError(
                f"warm_start.study: its gene {gene.name!r} has other choices than"
                f" {', '.join(gene.choices)}"
            )
    return tuple(Earlier(encode(space, solution.genes), solution.fitness) for solution in solutions)


def _sparsified(space: SearchSpace, density: float) -> Mapping[str, Genome]:
    parents = space.sparsified(density)
    if not parents:
        raise ConfigError(
            "warm_start.sparsified: the space has no gene for a density; search `density` of a"
            " method that has one, such as ties, or leave it out"
        )
    return parents


def _sums(space: SearchSpace) -> Mapping[str, Genome]:
    sums = space.sums()
    if not sums:
        raise ConfigError(
            "warm_start.sums: the space has no task vectors to sum; search `weight` of two or"
            " more parents by a method that adds them to a base, such as task_arithmetic, or"
            " leave it out"
        )
    return sums


def _genome(space: SearchSpace, values: Mapping[str, float | str], key: str) -> Genome:
    """A known genome, written as gene name -> value; `key` is where it stands in the job."""
    genes = space.genes
    names = [gene.name for gene in genes]
    for name in values:
        if name not in names:
            raise ConfigError(f"{key}: no gene {name!r}; {did_you_mean(name, names)}")
    for gene in genes:
        if gene.name not in values:
            raise ConfigError(f"{key}: the gene {gene.name!r} is missing")
        if isinstance(gene, ChoiceGene) and values[gene.name] not in gene.choices:
            raise ConfigError(f"{key}.{gene.name}: one of {', '.join(gene.choices)} is wanted")
        if isinstance(gene, FloatGene) and not _is_number(values[gene.name]):
            raise ConfigError(f"{key}.{gene.name}: a number is wanted, got {values[gene.name]!r}")
    genome = encode(space, values)
    with about(key):
        space.recipe(genome)
    return genome


def _is_number(value: float | str) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False
