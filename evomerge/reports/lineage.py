"""Who descends from whom, by the record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evomerge.study.candidate import Candidate

__all__ = ["Ancestor", "by_id", "lineage"]


@dataclass(frozen=True)
class Ancestor:
    """One of a family."""

    candidate: Candidate
    parents: tuple[Candidate, ...]
    """As the optimizer drew them; none of a seed, and the same one twice where it was drawn twice.
    """
    generation: int
    """Steps to a seed, on the longest way."""


def by_id(candidates: Sequence[Candidate]) -> dict[int, Candidate]:
    """What an optimizer calls the candidates that it knows: -1 - k is the k-th landmark with a
    fitness, by number, and others go by their question."""
    landmarks = [one for one in candidates if one.origin == "landmark" and one.fitness is not None]
    landmarks.sort(key=lambda one: one.number)
    found = {-1 - k: one for k, one in enumerate(landmarks)}
    return found | {one.proposal: one for one in candidates if one.proposal is not None}


def lineage(candidates: Sequence[Candidate], number: int) -> list[Ancestor]:
    """A candidate and all that it descends from, in the order of asking, so that it is the last."""
    known = by_id(candidates)
    parents = {
        one.number: tuple(known[id] for id in one.parentage.parents) if one.parentage else ()
        for one in candidates
    }
    family, new = {number}, [number]
    while new:
        more = {parent.number for child in new for parent in parents[child]} - family
        family |= more
        new = sorted(more)
    generations: dict[int, int] = {}
    found = []
    for one in sorted(candidates, key=lambda one: one.asked):
        if one.number in family:
            own = parents[one.number]
            steps = [generations[parent.number] for parent in own]
            generations[one.number] = 1 + max(steps) if steps else 0
            found.append(Ancestor(one, own, generations[one.number]))
    return found
