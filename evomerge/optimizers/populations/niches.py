"""The archive of natural niches as a population, and the settings of those who keep one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Generic, TypeVar

import numpy as np
from pydantic import Field

from evomerge.optimizers.populations.archive import Archive
from evomerge.optimizers.populations.config import PopulationConfig
from evomerge.optimizers.populations.crossing import CrossingConfig
from evomerge.optimizers.populations.population import Member, MemberScores

__all__ = ["Niches", "NichesConfig"]

M = TypeVar("M")


class NichesConfig(PopulationConfig, CrossingConfig):
    """Settings of an archive whose members compete for examples, and of how they are crossed."""

    shares: ClassVar[bool] = True
    archive: Annotated[int, Field(ge=2)] = 20
    """Number of members; the paper takes 20 for small networks and 15 for language models."""
    alpha: Annotated[float, Field(ge=0)] = 1.0
    """Strength of the competition for examples: 0: none; 1: the members that solve an example share
    its point; above 1: together they get less than the point."""
    attraction: bool = True
    """Draw the second parent by what the first lacks; otherwise by fitness, like the first."""
    shift: bool = False
    """Count scores from the worst that a member has on an example: for scores that may be negative,
    or differ little."""

    def population(self) -> Niches[Any]:
        """An empty archive."""
        archive: Archive[Member[Any]] = Archive(self.archive, alpha=self.alpha, shift=self.shift)
        return Niches(archive, attraction=self.attraction, negative=self.shift)

    def drawn(self) -> tuple[str, str]:
        """The first by fitness, the second by attraction (without it, by fitness)."""
        second = "by attraction to the first" if self.attraction else "by shared fitness"
        return "by shared fitness", second


class Niches(Generic[M]):
    """An archive as a population."""

    def __init__(self, archive: Archive[Member[M]], *, attraction: bool, negative: bool) -> None:
        """`attraction`: whether it draws second parents; `negative`: whether scores may be so."""
        self.archive = archive
        self._attraction, self._negative = attraction, negative

    @property
    def version(self) -> int:
        """How often the members have changed."""
        return self.archive.version

    def __len__(self) -> int:
        return len(self.archive)

    def check(self, member_scores: MemberScores) -> None:
        """Raises: ValueError: a score is negative and the archive does not shift scores."""
        lowest = float(member_scores.examples.min())
        if lowest < 0 and not self._negative:
            raise ValueError(
                f"an example's score is {lowest:g}, and members can share only what is at least 0;"
                " take a metric that is, or set shift: true"
            )

    def add(self, member: Member[M], member_scores: MemberScores, *, seed: bool) -> None:
        """Let the member compete in the archive."""
        self.archive.add(member, member_scores.examples)

    def parents(self, number: int, rng: np.random.Generator) -> tuple[Member[M], Member[M]]:
        """The second by attraction; without it both by fitness, perhaps the same one twice."""
        first = self.archive.draw(rng)
        if self._attraction:
            second = self.archive.draw_partner(first, rng)
        else:
            second = self.archive.draw(rng)
        return self.archive[first], self.archive[second]

    def fitness(self) -> Mapping[int, float]:
        """The shared fitness f of each member (equation 4), by row."""
        if not len(self.archive):
            return {}
        ids = [member.id for member in self.archive.members]
        return dict(zip(ids, self.archive.fitness().tolist(), strict=True))
