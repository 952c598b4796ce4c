"""Whom an optimizer that crosses members keeps, from what it was told alone.

A population changes with what is told, in its order, and not with what is asked. So whom it holds
is known without breeding anyone again, which for tables would take the seeds' weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from evomerge.optimizers.populations.archive import Archive, Array
from evomerge.optimizers.populations.crossing import CrossingConfig
from evomerge.optimizers.populations.cycle_qd import Cycle, CycleQdConfig
from evomerge.optimizers.populations.genetic_merge import GeneticMergeConfig, crowd
from evomerge.optimizers.populations.map_elites import Elites, MapElitesConfig
from evomerge.optimizers.populations.natural_niches import NaturalNichesConfig, niches
from evomerge.optimizers.populations.population import Member, MemberScores
from evomerge.optimizers.populations.vector_crossing import VectorCrossing
from evomerge.recipe.genome import FloatGene

__all__ = ["KEEPERS", "Keeper", "Told", "kept"]

Keeper: TypeAlias = NaturalNichesConfig | GeneticMergeConfig | MapElitesConfig | CycleQdConfig
KEEPERS = (NaturalNichesConfig, GeneticMergeConfig, MapElitesConfig, CycleQdConfig)

# A grid's members have to be of some kind, though nobody looks at them here.
ANY = VectorCrossing(CrossingConfig(), (FloatGene(name="any", low=0.0, high=1.0),))
BODY = ANY.read((0.0,))


@dataclass(frozen=True)
class Told:
    """What an optimizer was told of a member."""

    id: int
    """Of its question; -1 - k for the k-th observation."""
    member_scores: MemberScores
    seed: bool
    """Whether the search began with it: it was observed, or asked without parents."""


def kept(config: Keeper, told: Iterable[Told]) -> dict[int, float]:
    """Id -> what a member counts by at the end: in an archive the shared fitness, and elsewhere its
    own; in the order of slots or cells."""
    match config:
        case NaturalNichesConfig():
            return _archived(niches(config), told)
        case GeneticMergeConfig():
            return _archived(crowd(config), told)
        case MapElitesConfig():
            return _elite(Elites(config, ANY), told)
        case CycleQdConfig():
            return _elite(Cycle(config, ANY), told)


def _archived(archive: Archive[int], told: Iterable[Told]) -> dict[int, float]:
    for one in told:
        archive.add(one.id, one.member_scores.examples)
    if not archive:
        return {}
    return dict(zip(archive.members, archive.fitness().tolist(), strict=True))


def _elite(elites: Elites[Array] | Cycle[Array], told: Iterable[Told]) -> dict[int, float]:
    worth = {}
    for one in told:
        elites.add(Member(one.id, BODY), one.member_scores, seed=one.seed)
        worth[one.id] = one.member_scores.fitness
    return {member.id: worth[member.id] for member in elites.members}
