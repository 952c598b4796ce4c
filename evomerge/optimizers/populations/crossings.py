"""Which crossing a space's genomes take."""

from __future__ import annotations

from typing import Any

from evomerge.errors import ConfigError
from evomerge.optimizers.populations.crossing import Crossing, CrossingConfig
from evomerge.optimizers.populations.table_crossing import CoefficientsCrossing
from evomerge.optimizers.populations.vector_crossing import VectorCrossing
from evomerge.optimizers.problem import Problem

__all__ = ["crossing_of"]


def crossing_of(
    config: CrossingConfig, problem: Problem, optimizer: str, *, holds: int | None = None
) -> Crossing[Any]:
    """Crossing of tables where the space has a seed pool, else of vectors; `holds`: the size of the
    optimizer's archive, if it has a limit.

    Raises:
        ConfigError: the space cannot be crossed as configured, or has more seeds than `holds`.
    """
    if problem.seed_pool is None:
        return VectorCrossing(config, problem.scalars(optimizer))
    seeds = problem.seed_pool.seeds
    if holds is not None and holds < len(seeds):
        raise ConfigError(
            f"{optimizer}: an archive of {holds} is smaller than the {len(seeds)} seeds"
            f" ({', '.join(seeds)}); set archive to {len(seeds)} or more"
        )
    if config.chromosomes:
        raise ConfigError(
            f"{optimizer}: chromosomes are for genes with names, and the genome is a table here;"
            " say space.chromosomes instead"
        )
    return CoefficientsCrossing(config, problem.seed_pool)
