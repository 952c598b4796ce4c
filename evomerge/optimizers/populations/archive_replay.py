"""What an optimizer that crosses members keeps, from what it was told alone.

A population changes with what is told, in its order, and not with what is asked. So the archive at
the end is known without crossing anyone again, which for tables would take the seeds' weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from evomerge.optimizers.populations.config import PopulationConfig
from evomerge.optimizers.populations.population import Member, MemberScores

__all__ = ["ScoredMember", "replay_archive"]


@dataclass(frozen=True)
class ScoredMember:
    """A member as the optimizer was told of it."""

    id: int
    """Of its question; -1 - k for the k-th observation."""
    scores: MemberScores
    seed: bool
    """Whether the search began with it: it was observed, or asked without parents."""


def replay_archive(config: PopulationConfig, told: Iterable[ScoredMember]) -> Mapping[int, float]:
    """Id -> what a member counts by at the end, in the order of slots or cells."""
    population = config.population()
    for member in told:
        population.add(Member(member.id, None), member.scores, seed=member.seed)
    return population.fitness()
