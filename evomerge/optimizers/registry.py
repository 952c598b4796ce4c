"""Optimizers by kind: configuration in, `Optimizer` out.

Built in are the members of `OptimizerConfig`. Others come from the entry point group
`evomerge.optimizers`: a name, and a callable `(PluginConfig, Problem) -> Optimizer`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, assert_never

from pydantic import Discriminator, Field, Tag, field_validator

from evomerge.errors import ConfigError, did_you_mean
from evomerge.optimizers.base import Optimizer
from evomerge.optimizers.cma_es import CmaEs, CmaEsConfig
from evomerge.optimizers.genetic import Genetic, GeneticConfig
from evomerge.optimizers.greedy_soup import GreedySoup, GreedySoupConfig
from evomerge.optimizers.nevergrad import Nevergrad, NevergradConfig
from evomerge.optimizers.optuna import Optuna, OptunaConfig
from evomerge.optimizers.populations.cycle_qd import CycleQd, CycleQdConfig
from evomerge.optimizers.populations.genetic_merge import GeneticMerge, GeneticMergeConfig
from evomerge.optimizers.populations.map_elites import MapElites, MapElitesConfig
from evomerge.optimizers.populations.natural_niches import NaturalNiches, NaturalNichesConfig
from evomerge.optimizers.populations.random_merge import RandomMerge, RandomMergeConfig
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.random import RandomConfig, RandomSearch
from evomerge.recipe.genome import Gene, Genome
from evomerge.recipe.seed_pool import SeedPool
from evomerge.value import Value, parse

__all__ = ["BUILT_IN", "GROUP", "OptimizerConfig", "PluginConfig", "configure", "kinds", "make"]

GROUP = "evomerge.optimizers"
"""The entry point group that plugins register in."""


class PluginConfig(Value):
    """An optimizer of another package: its entry point's name, and options that only it knows."""

    kind: str
    options: Mapping[str, Any] = Field(default_factory=dict)

    @field_validator("kind")
    @classmethod
    def _is_installed(cls, kind: str) -> str:
        if kind not in _plugins():
            raise ValueError(f"unknown optimizer {kind!r}; {did_you_mean(kind, kinds())}")
        return kind


BUILT_IN: Mapping[str, type[Value]] = {
    "cma_es": CmaEsConfig,
    "cycle_qd": CycleQdConfig,
    "genetic": GeneticConfig,
    "genetic_merge": GeneticMergeConfig,
    "greedy_soup": GreedySoupConfig,
    "map_elites": MapElitesConfig,
    "natural_niches": NaturalNichesConfig,
    "nevergrad": NevergradConfig,
    "optuna": OptunaConfig,
    "random": RandomConfig,
    "random_merge": RandomMergeConfig,
}


def _tag(data: Any) -> str:
    kind = data.get("kind") if isinstance(data, Mapping) else getattr(data, "kind", None)
    return kind if isinstance(kind, str) and kind in BUILT_IN else "plugin"


OptimizerConfig = Annotated[
    Annotated[CmaEsConfig, Tag("cma_es")]
    | Annotated[CycleQdConfig, Tag("cycle_qd")]
    | Annotated[GeneticConfig, Tag("genetic")]
    | Annotated[GeneticMergeConfig, Tag("genetic_merge")]
    | Annotated[GreedySoupConfig, Tag("greedy_soup")]
    | Annotated[MapElitesConfig, Tag("map_elites")]
    | Annotated[NaturalNichesConfig, Tag("natural_niches")]
    | Annotated[NevergradConfig, Tag("nevergrad")]
    | Annotated[OptunaConfig, Tag("optuna")]
    | Annotated[RandomConfig, Tag("random")]
    | Annotated[RandomMergeConfig, Tag("random_merge")]
    | Annotated[PluginConfig, Tag("plugin")],
    Discriminator(_tag),
]


def kinds() -> list[str]:
    """Every kind that `make` knows, sorted; none of their libraries is imported."""
    return sorted({*BUILT_IN, *_plugins()})


def configure(data: object, *, origin: str) -> OptimizerConfig:
    """Plain data, such as `{kind: cma_es, sigma: 0.2}`, as an optimizer's configuration.

    Raises:
        ConfigError: one sentence that starts with `origin`.
    """
    config: Any = parse(BUILT_IN.get(_tag(data), PluginConfig), data, origin=origin)
    return config  # type: ignore[no-any-return]


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
) -> Optimizer:
    """Build the optimizer; its library is imported now.

    Raises:
        ConfigError: the library does not know the name or the options, or cannot do this search.
    """
    problem = Problem(
        genes=tuple(genes),
        seed=seed,
        objectives=objectives,
        workers=workers,
        budget=budget,
        active=active,
        seed_pool=seed_pool,
    )
    match config:
        case CmaEsConfig():
            return CmaEs(config, problem)
        case CycleQdConfig():
            return CycleQd(config, problem)
        case GeneticConfig():
            return Genetic(config, problem)
        case GeneticMergeConfig():
            return GeneticMerge(config, problem)
        case GreedySoupConfig():
            return GreedySoup(config, problem)
        case MapElitesConfig():
            return MapElites(config, problem)
        case NaturalNichesConfig():
            return NaturalNiches(config, problem)
        case NevergradConfig():
            return Nevergrad(config, problem)
        case OptunaConfig():
            return Optuna(config, problem)
        case RandomConfig():
            return RandomSearch(config, problem)
        case RandomMergeConfig():
            return RandomMerge(config, problem)
        case PluginConfig():
            return _load(_plugins()[config.kind], config, problem)
        case _:
            assert_never(config)


def _plugins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in BUILT_IN}


def _load(point: EntryPoint, config: PluginConfig, problem: Problem) -> Optimizer:
    try:
        builder = point.load()
    except Exception as error:
        raise ConfigError(
            f"optimizer {point.name!r} ({point.value}) cannot be loaded: {error}"
        ) from error
    optimizer: Optimizer = builder(config, problem)
    return optimizer
