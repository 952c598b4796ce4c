"""The archive at the end of a search, from its record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evomerge.optimizers.populations.archive_replay import ScoredMember, replay_archive
from evomerge.optimizers.populations.config import PopulationConfig
from evomerge.optimizers.populations.population import MemberScores
from evomerge.reports.lineage import by_id
from evomerge.study.candidate import Candidate, events
from evomerge.study.replay import Observed

__all__ = ["RankedMember", "archive"]


@dataclass(frozen=True)
class RankedMember:
    """A member of the archive with its scores and the fitness that it is ranked by."""

    candidate: Candidate
    examples: tuple[float, ...]
    """Its scores of examples, higher is better."""
    fitness: float
    """What members are ranked by: its shared fitness where members share, else its own."""


def archive(
    candidates: Sequence[Candidate],
    config: PopulationConfig,
    observed: Observed,
) -> list[RankedMember]:
    """The members that the optimizer holds now, the fittest first, of equal ones the older.

    Landmarks come first, then results in the order in which they arrived, as in `replay.restore`;
    `observed` as there.
    """
    known = by_id(candidates)
    ids = {candidate.number: id for id, candidate in known.items()}
    arrived = [event.candidate for event in events(candidates) if event.kind == "tell"]
    landmarks = [known[id] for id in sorted(known, reverse=True) if id < 0]
    order = [
        *landmarks,
        *(
            candidate
            for candidate in arrived
            if candidate.proposed_by == "optimizer" and candidate.fitness
        ),
    ]
    told: dict[int, ScoredMember] = {}
    for candidate in order:
        observation = observed(candidate)
        assert observation is not None
        id = ids[candidate.number]
        scores = MemberScores(
            observation.fitness[0],
            np.array(observation.examples or ()),
            np.array(observation.tasks or ()),
        )
        seed = candidate.parentage is None or not candidate.parentage.parents
        told[id] = ScoredMember(id, scores, seed)
    members = [
        RankedMember(known[id], tuple(told[id].scores.examples.tolist()), fitness)
        for id, fitness in replay_archive(config, told.values()).items()
    ]
    return sorted(members, key=lambda member: (-member.fitness, member.candidate.number))
