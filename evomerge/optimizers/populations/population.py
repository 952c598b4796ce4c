"""What a steady-state optimizer keeps, and from which it draws parents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from evomerge.optimizers.populations.archive import Array

__all__ = ["Member", "Population", "MemberScores"]

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
    """Changes by `add` alone, and only in ways that depend on what came before in which order."""

    @property
    def version(self) -> int:
        """How often it has changed."""

    def __len__(self) -> int:
        """How many may be drawn as parents."""

    def check(self, member_scores: MemberScores) -> None:
        """Raises: ValueError: it cannot be compared with the others by this sheet."""

    def add(self, member: Member[M], member_scores: MemberScores, *, seed: bool) -> None:
        """Let a member in if it deserves it; a `seed` is one that the search began with."""

    def child(self, number: int, rng: np.random.Generator) -> tuple[M, tuple[Member[M], ...]]:
        """A new body for question `number`, and the parents that it was made of; there are at least
        two members."""
