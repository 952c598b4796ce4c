"""Genes and genomes: the points of a search space, as an optimizer sees them."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["ChoiceGene", "FloatGene", "Gene", "Genome", "Scalar", "CoefficientsGene"]

Genome = tuple[float | str, ...]
"""One entry a gene, in the space's order: a float in [0, 1], the category of a choice, or the text
of a table."""


@dataclass(frozen=True, kw_only=True)
class FloatGene:
    """A number in [low, high]; the optimizer sees it as a float in [0, 1]."""

    name: str
    low: float
    high: float
    log: bool = False
    start: float | None = None
    """Where a search begins, in the gene's own unit; None: wherever the optimizer likes."""

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"gene {self.name!r} needs low < high, got [{self.low}, {self.high}]")
        if self.start is not None and not self.low <= self.start <= self.high:
            raise ValueError(
                f"gene {self.name!r} lies in [{self.low}, {self.high}] and cannot start at"
                f" {self.start}"
            )
        if self.log and self.low <= 0:
            raise ValueError(f"gene {self.name!r} is logarithmic and needs low > 0, got {self.low}")

    def value(self, unit: float) -> float:
        """[0, 1] -> [low, high]."""
        if self.log:
            return math.exp(math.log(self.low) + unit * math.log(self.high / self.low))
        return self.low + unit * (self.high - self.low)

    def unit(self, value: float) -> float:
        """[low, high] -> [0, 1]; a value outside is moved to the nearest end."""
        inside = min(max(value, self.low), self.high)
        if self.log:
            return math.log(inside / self.low) / math.log(self.high / self.low)
        return (inside - self.low) / (self.high - self.low)


@dataclass(frozen=True, kw_only=True)
class ChoiceGene:
    """One of several categories."""

    name: str
    choices: tuple[str, ...]
    odds: tuple[float, ...] | None = None
    """How probable each choice is when a search begins; None: all the same."""

    def __post_init__(self) -> None:
        if len(self.choices) < 2:
            raise ValueError(f"gene {self.name!r} needs at least two choices, got {self.choices}")
        if self.odds is not None and (
            len(self.odds) != len(self.choices)
            or min(self.odds) <= 0
            or not math.isclose(sum(self.odds), 1)
        ):
            raise ValueError(
                f"gene {self.name!r} needs a positive probability for each of {self.choices},"
                f" 1 together, got {self.odds}"
            )


@dataclass(frozen=True, kw_only=True)
class CoefficientsGene:
    """A combination of seeds: the text of a `Table` (`evomerge.recipe.segments`).

    It is no number and no choice: such genes are only known from seeds, and made by crossing.
    """

    name: str
    seeds: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.seeds) < 2:
            raise ValueError(f"gene {self.name!r} needs at least two seeds, got {self.seeds}")


Scalar = FloatGene | ChoiceGene
"""A gene that can be drawn or moved by itself."""

Gene = FloatGene | ChoiceGene | CoefficientsGene
