"""What a steady-state optimizer keeps, and from which it draws parents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from evomerge.optimizers.populations.archive import Array

__all__ = ["Member", "MemberScores", "Population", "Variation"]

M = TypeVar("M")


@dataclass(frozen=True)
class Member(Generic[M]):
    """One that was scored or will be."""

    id: int
    """Of its question; -1 - k for the k-th observation."""
    body: M


@dataclass(frozen=True)
class MemberScores:
    """All that is known of a member's worth; higher is better throughout."""

    fitness: float
    examples: Array
    """(examples,); none of a search without them."""
    tasks: Array
    """(tasks,)"""


class Population(Protocol[M]):
    """Who is kept, and who of them become parents; it never looks at what members are made of.

    Changes by `add` alone, and only in ways that depend on what came before in which order.
    """

    @property
    def version(self) -> int:
        """How often it has changed."""

    def __len__(self) -> int:
        """How many may be drawn as parents."""

    def check(self, member_scores: MemberScores) -> None:
        """Raises: ValueError: it cannot be compared with the others by this sheet."""

    def add(self, member: Member[M], member_scores: MemberScores, *, seed: bool) -> None:
        """Let a member in if it deserves it; a `seed` is one that the search began with."""

    def parents(self, number: int, rng: np.random.Generator) -> tuple[Member[M], Member[M]]:
        """Of the child that is question `number`, perhaps the same one twice; there are at least
        two members."""

    def fitness(self) -> Mapping[int, float]:
        """Id -> what a member counts by, in the order of slots or cells: the fitness that it was
        told with, or what is left of it where members share."""


class Variation(Protocol[M]):
    """What is made of two parents: crossed, blended, moved, mutated."""

    def __call__(self, number: int, a: M, b: M, rng: np.random.Generator) -> M:
        """The child that is question `number`; the generator is the only thing that changes."""
