"""From a job to the objects that it names: the only place where configuration becomes things."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

import numpy as np

from evomerge.cluster.base import Executor
from evomerge.cluster.config import ClusterConfig
from evomerge.cluster.registry import make_executor
from evomerge.cluster.subprocess_call import call_in_subprocess
from evomerge.cluster.worker_config import MergeLoaderConfig, PathLoaderConfig, WorkerConfig
from evomerge.config import Job
from evomerge.engines.config import EngineConfig
from evomerge.errors import ConfigError, about, did_you_mean
from evomerge.evaluators.base import EvaluatorConfig
from evomerge.evaluators.objective import Objective
from evomerge.models.adapter_compatibility import check_adapters
from evomerge.models.blueprint import donor, outline
from evomerge.models.compatibility import check_compatibility, check_engine_compatibility
from evomerge.models.fingerprint import fingerprint
from evomerge.models.flat import grids
from evomerge.models.headers import Headers
from evomerge.models.inventory import read_inventory
from evomerge.models.sources import adapter_folder, model_folder
from evomerge.models.stacking import check_routable
from evomerge.operators import signatures
from evomerge.optimizers.base import Optimizer
from evomerge.optimizers.registry import make
from evomerge.recipe.check import check_methods
from evomerge.recipe.digest import plain
from evomerge.recipe.genome import ChoiceGene, Genome
from evomerge.recipe.grid import Grams
from evomerge.recipe.layer_path import Capacity, in_use
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe, Stack, sources_of
from evomerge.search_spaces import baselines as reference
from evomerge.search_spaces.base import SearchSpace, encode
from evomerge.search_spaces.dataflow import DataFlowSpace, DataFlowSpaceConfig
from evomerge.search_spaces.parameter import ParameterSpace, ParameterSpaceConfig
from evomerge.search_spaces.segments import SegmentsSpace, SegmentsSpaceConfig
from evomerge.trust import require_trust

__all__ = [
    "baselines",
    "check",
    "check_engine_compatibility",
    "check_recipe",
    "cost",
    "executor",
    "fingerprints",
    "landmarks",
    "objective",
    "optimizer",
    "recipe_cost",
    "capacity",
    "capacity_for",
    "skeleton",
    "space",
]

# What needs torch, lm-eval or vLLM runs in processes of its own; the driver only names it.
GRAMS = "evomerge.merging.grams:matrices"
WORKER = "evomerge.cluster.worker:ModelWorker"


def check(job: Job, origin: str | None = None) -> list[str]:
    """Check everything that can be checked without reading weights; the warnings worth telling.

    Raises:
        UserError: in one sentence that begins with `origin`, or with the job's name.
    """
    with about(origin or job.name):
        require_trust(job.evaluator.code)
        for name, source in job.sources.items():
            with about(f"sources.{name}"):
                read_inventory(model_folder(source))
                adapter_folder(source)
        over = space(job)
        landmarks(job)
        optimizer(job, over)
        warnings: dict[str, None] = {}
        for recipe in over.samples():
            warnings |= dict.fromkeys(check_recipe(recipe, origin or job.name))
            check_engine_compatibility(recipe, skeleton(job), origin=origin or job.name)
            if isinstance(recipe, Stack):
                check_routable(recipe)
        return list(warnings)


def check_recipe(recipe: Recipe, origin: str) -> list[str]:
    """As `check`, for one recipe."""
    with about(origin):
        check_methods(recipe, signatures(), origin=origin)
        check_adapters(recipe, signatures(), origin=origin)
        return check_compatibility(recipe, signatures(), origin=origin)


def cost(job: Job) -> dict[str, float | int]:
    """What a search would take, as far as headers and budgets tell."""
    inventories = [read_inventory(model_folder(source)) for source in job.sources.values()]
    folders = {one.folder: one for one in inventories}
    first = read_inventory(model_folder(skeleton(job)))
    wanted = capacity(job)
    # The engine's weights, the parents that are mapped, and what a merge holds of its own.
    live = 3 * first.size if wanted is None else 2 * first.size * wanted.layers // first.layers
    return {
        "parameters": first.parameters,
        "genes": len(space(job).genes),
        "candidates": job.budget.candidates or job.budget.evaluations or 0,
        "parents_gib": round(sum(one.size for one in folders.values()) / 2**30, 2),
        "memory_gib_per_worker": round(live / 2**30, 2),
        "disk_gib": round(first.size / 2**30, 2),
    }


def fingerprints(job: Job) -> dict[str, str]:
    """Source -> a short name for its weights, by which a resumed study knows them."""
    return {name: fingerprint(source) for name, source in job.sources.items()}


def recipe_cost(recipe: Recipe) -> dict[str, float | int]:
    """What building a recipe would take."""
    folders = {model_folder(source) for source in sources_of(recipe)}
    inventories = [read_inventory(folder) for folder in sorted(folders)]
    return {
        "parameters": inventories[0].parameters,
        "reads_gib": round(sum(one.size for one in inventories) / 2**30, 2),
        "disk_gib": round(inventories[0].size / 2**30, 2),
    }


def space(job: Job) -> SearchSpace:
    """The search space over the job's sources."""
    match job.space:
        case ParameterSpaceConfig():
            layers = read_inventory(model_folder(skeleton(job))).layers
            return ParameterSpace(job.space, job.sources, layers=layers, methods=signatures())
        case DataFlowSpaceConfig():
            return _data_flow(job.space, job)
        case SegmentsSpaceConfig():
            return _segments(job.space, job)
        case _:
            assert_never(job.space)


def skeleton(job: Job) -> Source:
    """The source whose configuration and tokenizer every candidate takes."""
    match job.space:
        case ParameterSpaceConfig():
            return job.sources[job.space.base or min(job.space.parents or job.sources)]
        case DataFlowSpaceConfig():
            return donor(next(iter(job.space.chosen(job.sources, "space").values())))
        case SegmentsSpaceConfig():
            return job.sources[job.space.donor(job.sources, "space")]
        case _:
            assert_never(job.space)


def capacity(job: Job) -> Capacity | None:
    """What an engine needs room for where layers are routed; None where weights are merged."""
    if not isinstance(job.space, DataFlowSpaceConfig):
        return None
    counts = _counts(job.space.chosen(job.sources, "space"))
    hops = max(_data_flow(job.space, job).max_hops, *counts.values())
    return Capacity(layers=sum(counts.values()), hops=hops)


def capacity_for(recipe: Recipe, origin: str) -> Capacity | None:
    """What an engine needs room for to run this recipe; None where its weights are merged.

    Raises:
        SourceError: the recipe is a stack of layers that no engine can route.
    """
    if not isinstance(recipe, Stack):
        return None
    with about(origin):
        check_routable(recipe)
    pool, layer_path = in_use(recipe)
    return Capacity(layers=len(pool.hops), hops=len(layer_path.layers))


def _data_flow(config: DataFlowSpaceConfig, job: Job) -> DataFlowSpace:
    inputs = config.chosen(job.sources, "space")
    return DataFlowSpace(config, inputs, counts=_counts(inputs))


def _segments(config: SegmentsSpaceConfig, job: Job) -> SegmentsSpace:
    like, seeds = skeleton(job), config.chosen(job.sources, "space")
    cells = grids(like, config.chromosomes, config.resolution, "space")
    request = {
        "seeds": [plain(one) for one in seeds.values()],
        "like": plain(like),
        "where": [one.model_dump(mode="json") for one in config.chromosomes],
        "resolution": config.resolution,
    }

    def measure() -> list[Grams]:
        found = call_in_subprocess(GRAMS, request)
        return [Grams(grid, np.array(one)) for grid, one in zip(cells, found, strict=True)]

    return SegmentsSpace(config, job.sources, grids=cells, measure=measure)


def _counts(inputs: Mapping[str, Recipe]) -> dict[str, int]:
    headers = Headers()
    return {name: outline(one, headers).layers for name, one in inputs.items()}


def optimizer(job: Job, over: SearchSpace) -> Optimizer:
    """The optimizer, seeded from the job."""
    return make(
        job.optimizer,
        over.genes,
        seed=job.seed,
        objectives=len(objective(job).names),
        budget=job.budget.candidates or job.budget.evaluations,
        workers=job.cluster.parallelism,
        active=over.active,
        seed_pool=over.seed_pool if isinstance(over, SegmentsSpace) else None,
    )


def objective(job: Job) -> Objective:
    """What a report is worth."""
    return Objective(job.evaluator.weights, job.objective)


def baselines(job: Job) -> dict[str, Recipe]:
    """What the winner is compared with on the holdout, by label."""
    if isinstance(job.space, DataFlowSpaceConfig):
        inputs = job.space.chosen(job.sources, "space")
        return reference.data_flow_baselines(inputs, _counts(inputs))
    if isinstance(job.space, SegmentsSpaceConfig):
        seeds = job.space.chosen(job.sources, "space")
        origin = job.space.base if job.space.base not in seeds else None
        return reference.baselines(job.sources, origin, tuple(seeds))
    parents = job.space.parents or tuple(name for name in job.sources if name != job.space.base)
    return reference.baselines(job.sources, job.space.base, parents, job.space.tokenizer)


def landmarks(job: Job) -> dict[str, Genome]:
    """What is tried first: the space's landmarks, then the job's known genomes and recipes.

    Raises:
        ConfigError: a genome lacks a gene or has one too many.
        RecipeError: the space does not hold a recipe.
    """
    over = space(job)
    found = dict(over.landmarks()) if job.warm_start.landmarks else {}
    names = [gene.name for gene in over.genes]
    for number, values in enumerate(job.warm_start.genomes):
        where = f"warm_start.genomes.{number}"
        for name in values:
            if name not in names:
                raise ConfigError(f"{where}: no gene {name!r}; {did_you_mean(name, names)}")
        for gene in over.genes:
            if gene.name not in values:
                raise ConfigError(f"{where}: the gene {gene.name!r} is missing")
            if isinstance(gene, ChoiceGene) and values[gene.name] not in gene.choices:
                raise ConfigError(
                    f"{where}.{gene.name}: one of {', '.join(gene.choices)} is wanted"
                )
        found[f"genome:{number}"] = encode(over, values)
        with about(where):
            over.recipe(found[f"genome:{number}"])
    for number, recipe in enumerate(job.warm_start.recipes):
        with about(f"warm_start.recipes.{number}: the space does not hold this recipe"):
            found[f"recipe:{number}"] = over.genome(recipe)
    return found


def executor(
    cluster: ClusterConfig,
    engine: EngineConfig,
    evaluator: EvaluatorConfig,
    start_from: Source,
    capacity: Capacity | None = None,
) -> Executor:
    """Where candidates are evaluated; with a `capacity`, by engines that hold a pool of layers.

    Raises:
        ConfigError: the cluster is not there or is too small.
    """
    loader = MergeLoaderConfig() if capacity is None else PathLoaderConfig(capacity=capacity)
    worker = WorkerConfig(skeleton=start_from, engine=engine, evaluator=evaluator, loader=loader)
    return make_executor(cluster, WORKER, worker)
