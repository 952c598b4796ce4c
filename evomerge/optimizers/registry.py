"""Optimizers by kind: settings in, `Optimizer` out.

An entry of the registry is an optimizer's class: it has the class of its settings as `config`, and
is called with a value of that class and a `Problem`. Other packages add theirs by the entry point
group `evomerge.optimizers`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from evomerge.errors import ConfigError
from evomerge.optimizers.base import (
    Optimizer,
    OptimizerConfig,
    learns_earlier,
    needs_examples,
    takes_constraints,
)
from evomerge.optimizers.penalised import Penalised
from evomerge.optimizers.problem import Earlier, Problem
from evomerge.plugins import Registry
from evomerge.recipe.genome import Gene, Genome
from evomerge.recipe.seed_pool import SeedPool

__all__ = ["OPTIMIZERS", "configure", "make"]

OPTIMIZERS: Registry[Any] = Registry(
    role="optimizer",
    group="evomerge.optimizers",
    built_in={
        "bayes": "evomerge.optimizers.bayes:Bayes",
        "catcma": "evomerge.optimizers.catcma:CatCma",
        "cma_es": "evomerge.optimizers.cma_es:CmaEs",
        "cma_niches": "evomerge.optimizers.populations.cma_niches:CmaNiches",
        "cycle_qd": "evomerge.optimizers.populations.cycle_qd:CycleQd",
        "genetic": "evomerge.optimizers.genetic:Genetic",
        "genetic_merge": "evomerge.optimizers.populations.genetic_merge:GeneticMerge",
        "greedy_soup": "evomerge.optimizers.greedy_soup:GreedySoup",
        "map_elites": "evomerge.optimizers.populations.map_elites:MapElites",
        "natural_niches": "evomerge.optimizers.populations.natural_niches:NaturalNiches",
        "nevergrad": "evomerge.optimizers.nevergrad:Nevergrad",
        "optuna": "evomerge.optimizers.optuna:Optuna",
        "random": "evomerge.optimizers.random:RandomSearch",
        "random_merge": "evomerge.optimizers.populations.random_merge:RandomMerge",
    },
)


def configure(data: object, *, origin: str) -> OptimizerConfig:
    """Plain data, such as `{kind: cma_es, sigma: 0.2}` or `cma_es`, as an optimizer's settings.

    Raises:
        ConfigError: one sentence that starts with `origin`.
    """
    config: OptimizerConfig = OPTIMIZERS.config(data, origin=origin)
    return config


def make(
    config: OptimizerConfig,
    genes: Sequence[Gene],
    *,
    seed: int,
    objectives: int = 1,
    workers: int = 1,
    budget: int | None = None,
    active: Callable[[Genome], Sequence[bool]] | None = None,
    seed_pool: SeedPool | None = None,
    importance: Sequence[float] | None = None,
    earlier: Sequence[Earlier] = (),
    constraints: int = 0,
) -> Optimizer:
    """Build the optimizer; its library is imported now. The arguments are those of `Problem`.

    Raises:
        ConfigError: the library does not know the name or the options, or cannot do this search; or
            there is an `earlier` one, from which the optimizer learns nothing; or there are
            constraints, and it takes none.
    """
    problem = Problem(
        genes=tuple(genes),
        seed=seed,
        objectives=objectives,
        workers=workers,
        budget=budget,
        active=active,
        seed_pool=seed_pool,
        importance=None if importance is None else tuple(importance),
        earlier=tuple(earlier),
        constraints=constraints,
    )
    optimizer: Optimizer = OPTIMIZERS.make(config, problem)
    if earlier and not learns_earlier(optimizer):
        raise ConfigError(
            f"warm_start.study: {config.kind} learns nothing from another study; take cma_es, or"
            " give its best candidates as warm_start.genomes"
        )
    if constraints == 0 or takes_constraints(optimizer):
        return optimizer
    if needs_examples(optimizer):
        raise ConfigError(
            f"objective.constraints: {config.kind} compares candidates by single examples and takes"
            " no constraints; use another optimizer, such as {kind: cma_es}"
        )
    return Penalised(optimizer)
