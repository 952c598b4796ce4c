"""Genomes as points of the unit cube, for optimizers that know only numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evomerge.recipe.genome import ChoiceGene, Gene, Genome

__all__ = ["from_cube", "to_cube"]


def from_cube(genes: Sequence[Gene], point: NDArray[np.float64]) -> Genome:
    """`point` (genes,) in [0, 1] -> genome; a choice of k takes the category floor(x * k)."""
    return tuple(
        _value(gene, min(max(float(x), 0.0), 1.0)) for gene, x in zip(genes, point, strict=True)
    )


def to_cube(genes: Sequence[Gene], genome: Genome) -> NDArray[np.float64]:
    """Genome -> (genes,) in [0, 1]; a category goes to the middle of its interval."""
    return np.array(
        [
            (gene.choices.index(str(value)) + 0.5) / len(gene.choices)
            if isinstance(gene, ChoiceGene)
            else float(value)
            for gene, value in zip(genes, genome, strict=True)
        ]
    )


def _value(gene: Gene, x: float) -> float | str:
    if isinstance(gene, ChoiceGene):
        return gene.choices[min(int(x * len(gene.choices)), len(gene.choices) - 1)]
    return x
