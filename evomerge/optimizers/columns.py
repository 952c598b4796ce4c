"""Genomes as rows of numbers in which any two categories of a choice are equally far apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from evomerge.recipe.genome import ChoiceGene, Genome, Scalar

__all__ = ["Columns"]

APART = 0.5**0.5
"""A category's entry in its own column: two rows that differ in one choice are 1 apart, as two are
that differ in one float by its whole range."""
MIDDLE = 0.5
"""The entry of a float that does not matter."""


@dataclass(frozen=True)
class Columns:
    """A float has one column, a choice one for each category, of which one is not 0.

    Genomes that differ only in genes that do not matter there, such as the weights of a parent that
    is switched off, are one row: such a float is in the middle, and such a choice 0 throughout.
    """

    genes: tuple[Scalar, ...]
    active: Callable[[Genome], Sequence[bool]] | None = None
    """Which genes matter at a genome; None: all of them, everywhere."""

    @cached_property
    def gene(self) -> NDArray[np.int64]:
        """(columns,): the number of the gene that each column belongs to."""
        return np.repeat(np.arange(len(self.genes)), [_width(gene) for gene in self.genes])

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The first column of each gene."""
        ends = np.cumsum([_width(gene) for gene in self.genes])
        return (0, *(int(end) for end in ends[:-1]))

    @cached_property
    def is_float(self) -> NDArray[np.bool_]:
        """(columns,): which are of a float, and may take any number in [0, 1]."""
        return np.array([not isinstance(self.genes[number], ChoiceGene) for number in self.gene])

    @property
    def has_choices(self) -> bool:
        """Whether any gene is a choice."""
        return not bool(self.is_float.all())

    def rows(self, genomes: Sequence[Genome]) -> NDArray[np.float64]:
        """(genomes, columns)."""
        rows = np.zeros((len(genomes), len(self.gene)))
        for row, genome in zip(rows, genomes, strict=True):
            matters = (True,) * len(genome) if self.active is None else self.active(genome)
            for gene, start, value, own in zip(
                self.genes, self.starts, genome, matters, strict=True
            ):
                if not isinstance(gene, ChoiceGene):
                    row[start] = float(value) if own else MIDDLE
                elif own:
                    row[start + gene.choices.index(str(value))] = APART
        return rows

    def settled(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """(rows, columns): with whatever does not matter where `rows` has it."""
        return rows if self.active is None else self.rows([self.genome(row) for row in rows])

    def settled_genome(self, genome: Genome) -> Genome:
        """The one genome that stands for all that differ from this one in nothing that matters."""
        return genome if self.active is None else self.genome(self.rows([genome])[0])

    def genome(self, row: NDArray[np.float64]) -> Genome:
        """The inverse of `rows`, of one row (columns,); a choice of zeros is its first category."""
        return tuple(
            gene.choices[int(np.argmax(row[start : start + len(gene.choices)]))]
            if isinstance(gene, ChoiceGene)
            else min(max(float(row[start]), 0.0), 1.0)
            for gene, start in zip(self.genes, self.starts, strict=True)
        )

    def neighbours(self, row: NDArray[np.float64]) -> NDArray[np.float64]:
        """(neighbours, columns): every row that differs from this one in one choice."""
        others = []
        for gene, start in zip(self.genes, self.starts, strict=True):
            if not isinstance(gene, ChoiceGene):
                continue
            own = slice(start, start + len(gene.choices))
            for place in range(len(gene.choices)):
                if not row[start + place]:
                    other = row.copy()
                    other[own] = 0.0
                    other[start + place] = APART
                    others.append(other)
        return np.array(others).reshape(len(others), len(row))


def _width(gene: Scalar) -> int:
    return len(gene.choices) if isinstance(gene, ChoiceGene) else 1
