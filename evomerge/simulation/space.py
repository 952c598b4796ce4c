"""A search space over models that do not exist."""

from __future__ import annotations

from collections.abc import Mapping

from evomerge.recipe.genome import ChoiceGene, FloatGene, Gene, Genome
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Rule
from evomerge.search_spaces.base import SearchSpace

__all__ = ["SimulatedSpace"]

_NAMES = ("json", "math")
_CHOICES = ("0", "0.5", "1")


class SimulatedSpace(SearchSpace):
    """Weights of two models: any number, or one of three, where a search soon repeats itself."""

    def __init__(self, *, is_of_choices: bool) -> None:
        self._is_of_choices = is_of_choices

    @property
    def genes(self) -> tuple[Gene, ...]:
        """One a model."""
        if self._is_of_choices:
            return tuple(ChoiceGene(name=name, choices=_CHOICES) for name in _NAMES)
        return tuple(FloatGene(name=name, low=0.0, high=1.0) for name in _NAMES)

    def recipe(self, genome: Genome) -> Merge:
        """A linear merge."""
        weights = dict(zip(_NAMES, map(float, genome), strict=True))
        return Merge(
            method="linear",
            inputs={name: Source(model=f"/simulated/{name}") for name in _NAMES},
            rules=(Rule(inputs={name: {"weight": weight} for name, weight in weights.items()}),),
        )

    def landmarks(self) -> Mapping[str, Genome]:
        """The parents and their mean."""
        none, half, full = _CHOICES if self._is_of_choices else (0.0, 0.5, 1.0)
        return {"uniform": (half, half), "parent:json": (full, none), "parent:math": (none, full)}
