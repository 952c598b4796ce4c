"""Where candidates are evaluated: workers that merge recipes, load and score them."""

from __future__ import annotations

from evomerge.cluster.base import Executor
from evomerge.cluster.config import ClusterConfig
from evomerge.cluster.registry import make_executor
from evomerge.cluster.worker_config import MergeLoaderConfig, PathLoaderConfig, WorkerConfig
from evomerge.engines.config import EngineSettings
from evomerge.evaluators.base import EvaluatorConfig
from evomerge.recipe.layer_path import Capacity
from evomerge.recipe.source import Source

__all__ = ["model_executor"]

# What needs torch, lm-eval or vLLM runs in processes of its own; the driver only names it.
WORKER = "evomerge.cluster.worker:ModelWorker"


def model_executor(
    cluster: ClusterConfig,
    engine: EngineSettings,
    evaluator: EvaluatorConfig,
    start_from: Source,
    capacity: Capacity | None = None,
    study: str = "",
    *,
    sources: tuple[Source, ...] = (),
) -> Executor:
    """The executor of a cluster and an engine that fit; with a `capacity`, of engines that hold a
    pool of layers. A worker is made only where the `sources` are.

    `study`: what candidates are evaluated for, as a cluster's dashboard calls it.

    Raises:
        ConfigError: the cluster is not there or is too small.
    """
    loader = MergeLoaderConfig() if capacity is None else PathLoaderConfig(capacity=capacity)
    worker = WorkerConfig(
        donor=start_from,
        engine=engine,
        evaluator=evaluator,
        sources=sources,
        loader=loader,
        study=study,
    )
    return make_executor(cluster, WORKER, worker)
