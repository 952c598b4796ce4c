"""The ancestors of a candidate, from the record of the search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evomerge.study.candidate import Candidate, landmarks

__all__ = ["Ancestor", "by_id", "lineage"]


@dataclass(frozen=True)
class Ancestor:
    """A candidate of a family, with its parents."""

    candidate: Candidate
    parents: tuple[Candidate, ...]
    """As the optimizer drew them: empty for a seed, the same one twice where it was drawn twice."""
    generation: int
    """Number of steps to a seed on the longest way."""


def by_id(candidates: Sequence[Candidate]) -> dict[int, Candidate]:
    """Candidates by the ids that the optimizer has for them.

    -1 - k is the k-th landmark with a fitness, by number; others have the id of their proposal.
    """
    scored = [known for known in landmarks(candidates) if known.fitness is not None]
    observed = {-1 - k: candidate for k, candidate in enumerate(scored)}
    return observed | {
        candidate.proposal: candidate for candidate in candidates if candidate.proposal is not None
    }


def lineage(candidates: Sequence[Candidate], number: int) -> list[Ancestor]:
    """A candidate and all that it descends from, in the order of asking, so that it is the last."""
    known = by_id(candidates)
    parents = {
        candidate.number: tuple(known[id] for id in candidate.parentage.parents)
        if candidate.parentage
        else ()
        for candidate in candidates
    }
    family, new = {number}, [number]
    while new:
        more = {parent.number for child in new for parent in parents[child]} - family
        family |= more
        new = sorted(more)
    generations: dict[int, int] = {}
    ancestors = []
    for candidate in sorted(candidates, key=lambda other: other.asked):
        if candidate.number in family:
            own = parents[candidate.number]
            steps = [generations[parent.number] for parent in own]
            generations[candidate.number] = 1 + max(steps) if steps else 0
            ancestors.append(Ancestor(candidate, own, generations[candidate.number]))
    return ancestors
