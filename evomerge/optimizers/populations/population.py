"""The members that a steady-state optimizer keeps, and draws parents from."""

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
    """A candidate of the population, with its body: what crossing works on."""

    id: int
    """Id of its proposal; -1 - k for the k-th observation."""
    body: M


@dataclass(frozen=True)
class MemberScores:
    """All scores of a member; higher is better throughout."""

    fitness: float
    examples: Array
    """(examples,); empty where the search has none."""
    tasks: Array
    """(tasks,)"""


class Population(Protocol[M]):
    """Which members are kept, and which become parents; it never reads their bodies.

    Changes by `add` alone, and only in ways that depend on what came before in which order.
    """

    @property
    def version(self) -> int:
        """How often it has changed."""

    def __len__(self) -> int:
        """How many may be drawn as parents."""

    def check(self, member_scores: MemberScores) -> None:
        """Raises: ValueError: it cannot be compared with the others by these scores."""

    def add(self, member: Member[M], member_scores: MemberScores, *, seed: bool) -> None:
        """Keep the member if it is good enough; a `seed` is one that the search began with."""

    def parents(self, number: int, rng: np.random.Generator) -> tuple[Member[M], Member[M]]:
        """The parents of proposal `number`, perhaps the same one twice.

        The population has at least two members.
        """

    def fitness(self) -> Mapping[int, float]:
        """Id -> the fitness that a member is ranked by, in the order of rows or cells.

        It is the fitness that was told, or the shared fitness where members share.
        """


class Variation(Protocol[M]):
    """Makes a child of two parents: crosses, blends, moves or mutates."""

    def __call__(self, number: int, a: M, b: M, rng: np.random.Generator) -> M:
        """The child that is proposal `number`; only the generator changes."""
