"""The archive at the end of a search, by the record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evomerge.optimizers.populations.archive_replay import Keeper, Told, kept
from evomerge.optimizers.populations.population import MemberScores
from evomerge.reports.lineage import by_id
from evomerge.study.candidate import Candidate, events
from evomerge.study.replay import Observed

__all__ = ["RankedMember", "archive"]


@dataclass(frozen=True)
class RankedMember:
    """A member, and where it stands among the others."""

    candidate: Candidate
    examples: tuple[float, ...]
    """Its scores of examples, higher is better."""
    fitness: float
    """What members are ranked by: its shared fitness where members share, else its own."""


def archive(
    candidates: Sequence[Candidate],
    config: Keeper,
    observed: Observed,
) -> list[RankedMember]:
    """The members that the optimizer holds now, the fittest first and of equals the older.

    As `replay.restore` goes about it, landmarks come first and then what was told, in its order;
    `observed` as there.
    """
    known = by_id(candidates)
    ids = {one.number: id for id, one in known.items()}
    arrived = [event.candidate for event in events(candidates) if event.kind == "tell"]
    landmarks = [known[id] for id in sorted(known, reverse=True) if id < 0]
    order = [*landmarks, *(one for one in arrived if one.origin == "optimizer" and one.fitness)]
    sheets, told = {}, []
    for one in order:
        observation = observed(one)
        assert observation is not None
        id = ids[one.number]
        sheets[id] = MemberScores(
            observation.fitness[0],
            np.array(observation.examples or ()),
            np.array(observation.tasks or ()),
        )
        told.append(Told(id, sheets[id], seed=one.parentage is None or not one.parentage.parents))
    members = [
        RankedMember(known[id], tuple(sheets[id].examples.tolist()), fitness)
        for id, fitness in kept(config, told).items()
    ]
    return sorted(members, key=lambda one: (-one.fitness, one.candidate.number))
