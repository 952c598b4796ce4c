"""Constraints for optimizers that know none: whatever breaks one is told as worse than the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import le
from typing import Any

from evomerge.optimizers.base import Fitness, Observation, Optimizer, Proposal, Result
from evomerge.optimizers.failure import worse_than
from evomerge.recipe.genome import Genome

__all__ = ["Penalised"]


class Penalised:
    """An optimizer that is told, of a candidate that breaks a constraint, a fitness below all that
    are known, less the size of the violation. So the one that is nearer to being allowed is the
    better one (Deb 2000, "An efficient constraint handling method for genetic algorithms", section
    3). All else is the optimizer's own.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._scale = _Scale()

    def ask(self, limit: int) -> list[Proposal]:
        """As the optimizer does; see `Optimizer.ask`."""
        return self._optimizer.ask(limit)

    def tell(self, results: Sequence[Result]) -> None:
        """Take results; see `Optimizer.tell`."""
        told, scale = [], self._scale
        for result in results:
            if result.fitness is not None:
                fitness, scale = scale.told(result.fitness, result.violations)
                result = replace(result, fitness=fitness, violations=())
            told.append(result)
        self._optimizer.tell(told)
        self._scale = scale

    def observe(self, observation: Observation) -> None:
        """Take a known point; see `Optimizer.observe`."""
        fitness, scale = self._scale.told(observation.fitness, observation.violations)
        self._optimizer.observe(replace(observation, fitness=fitness, violations=()))
        self._scale = scale

    def recommend(self) -> Genome | None:
        """As the optimizer does; see `Optimizer.recommend`."""
        return self._optimizer.recommend()

    def __getattr__(self, name: str) -> Any:
        """What the optimizer says of itself beside the contract, such as `least_budget`."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._optimizer, name)


@dataclass(frozen=True)
class _Scale:
    """What is known of the fitness, and the floor below which violations are told."""

    known: tuple[Fitness, ...] = ()
    """The least and the largest of each number so far."""
    floor: Fitness | None = None
    """It stays, so that sizes can be compared, until something that is allowed lies below it."""

    def told(self, fitness: Fitness, violations: Sequence[float]) -> tuple[Fitness, _Scale]:
        """What is told of a candidate, and the scale after it."""
        columns = list(zip(*self.known, fitness, strict=True))
        known = (tuple(map(min, columns)), tuple(map(max, columns)))
        missed = sum(violation for violation in violations if violation > 0)
        if missed == 0:
            is_below = self.floor is not None and any(map(le, fitness, self.floor))
            return fitness, _Scale(known, None if is_below else self.floor)
        floor = self.floor or tuple(map(worse_than, zip(*known, strict=True)))
        return tuple(low - missed for low in floor), _Scale(known, floor)
