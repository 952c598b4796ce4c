"""Settings of optimizers that cross members, and what reports ask of them."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from evomerge.optimizers.base import OptimizerConfig
from evomerge.optimizers.populations.population import Population

__all__ = ["PopulationConfig"]


class PopulationConfig(OptimizerConfig):
    """Settings of an optimizer whose candidates have parents among its members.

    A report asks it what the archive holds and how parents are drawn, so that an optimizer of
    another package is shown like one of evomerge's.
    """

    keeps: ClassVar[bool] = True
    """Whether it has an archive that can be drawn."""
    shares: ClassVar[bool] = False
    """Whether a member's fitness depends on the other members."""

    @abstractmethod
    def population(self) -> Population[Any]:
        """A new population without members."""

    @abstractmethod
    def drawn(self) -> tuple[str, str]:
        """How the first and the second parent of a child are drawn, such as `at random`."""

    def random_merges(self) -> int:
        """How many random merges of seeds come before the population breeds."""
        return 0
