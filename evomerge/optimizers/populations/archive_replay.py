"""The archive at the end of a search, from the results alone.

A population changes with what is told, in its order, and not with what is asked. So the archive at
the end is known without crossing members again, which for tables would need the seeds' weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from evomerge.optimizers.populations.config import PopulationConfig
from evomerge.optimizers.populations.population import Member, MemberScores

__all__ = ["ScoredMember", "replay_archive"]


@dataclass(frozen=True)
class ScoredMember:
    """A member with the scores that the optimizer was told."""

    id: int
    """Id of its proposal; -1 - k for the k-th observation."""
    scores: MemberScores
    seed: bool
    """Whether the search began with it: it was observed, or asked without parents."""


def replay_archive(
    config: PopulationConfig, arrived: Iterable[ScoredMember]
) -> Mapping[int, float]:
    """Id -> fitness of each member at the end, in the order of the archive's rows or cells."""
    population = config.population()
    for member in arrived:
        population.add(Member(member.id, None), member.scores, seed=member.seed)
    return population.fitness()
