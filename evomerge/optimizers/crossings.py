"""Which crossing a space's genomes take."""

from __future__ import annotations

from typing import Any

from evomerge.optimizers.crossing import Crossing, CrossingConfig
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.vectors import VectorCrossing

__all__ = ["crossing_of"]


def crossing_of(
    config: CrossingConfig, problem: Problem, optimizer: str, *, holds: int | None = None
) -> Crossing[Any]:
    """Of vectors, or of tables where the genome is one; `holds`: members of its archive, if any.

    Raises:
        ConfigError: the space cannot be crossed as configured, or has more seeds than `holds`.
    """
    return VectorCrossing(config, problem.genes)
