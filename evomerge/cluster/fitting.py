"""Workers that fit their engine: GPUs as many as it is spread over, or a share of one.

How vLLM spreads an engine is said here, since it depends on where a worker's GPUs are:

- On one node, a worker is one actor that owns all of its GPUs: Ray places an actor whole, on a
  node that has them free, as it would a placement group of one bundle. vLLM then starts a process
  for each rank by itself (`mp`). It would do so unasked, unless the actor is in a placement group,
  which it would take for its own (vLLM 0.32, `ParallelConfig.__post_init__`), so it is said.
- Over several nodes, a worker is a placement group with a bundle of one GPU for each rank, and the
  actor, which holds no GPU, lies in the first. vLLM finds the group that it is in and starts an
  actor in each bundle (`ray`). That has to be said: where an actor sees fewer GPUs than ranks, vLLM
  refuses to choose.
"""

from __future__ import annotations

from evomerge.cluster.config import ClusterConfig, RayConfig, WorkerKind
from evomerge.engines.config import GPU_SHARE, EngineConfig, EngineSettings
from evomerge.errors import ConfigError

__all__ = ["fitted", "kinds_of"]

BACKEND = "distributed_executor_backend"


def fitted(cluster: ClusterConfig, engine: EngineSettings) -> tuple[ClusterConfig, EngineSettings]:
    """The cluster with the GPUs that each worker takes, and the engine as it runs on them. Pools
    have engines of their own then.

    Raises:
        ConfigError: a worker's GPUs and its engine contradict each other.
    """
    if not isinstance(cluster, RayConfig):
        return cluster, engine
    if not cluster.pools:
        gpus = _gpus(cluster, engine, "cluster")
        cluster = cluster.model_copy(update={"gpus_per_worker": gpus})
        return cluster, _on(engine, cluster, "cluster")
    pools = tuple(
        _pool(pool, kind, pool.engine or engine, f"cluster.pools.{number}")
        for number, (pool, kind) in enumerate(zip(cluster.pools, cluster.kinds, strict=True))
    )
    return cluster.model_copy(update={"pools": pools}), engine


def kinds_of(
    cluster: ClusterConfig, engine: EngineSettings
) -> list[tuple[ClusterConfig, EngineSettings]]:
    """Each kind of workers, with its engine, of what `fitted` gives."""
    if not isinstance(cluster, RayConfig) or not cluster.pools:
        return [(cluster, engine)]
    engines = (pool.engine or engine for pool in cluster.pools)
    return list(zip(cluster.kinds, engines, strict=True))


def _pool(pool: WorkerKind, kind: RayConfig, engine: EngineSettings, key: str) -> WorkerKind:
    gpus = _gpus(kind, engine, key)
    own = _on(engine, kind.model_copy(update={"gpus_per_worker": gpus}), key)
    return pool.model_copy(update={"gpus_per_worker": gpus, "engine": own})


def _gpus(kind: RayConfig, engine: EngineSettings, key: str) -> float:
    """How many GPUs a worker takes: as given, else as many as its engine is spread over.

    Raises:
        ConfigError: the engine is spread over more; or it is neither a share of one nor whole.
    """
    given, spread = kind.gpus_per_worker, engine.spread
    if given is None:
        return spread if spread > 1 else 0
    if given > 1 and given != int(given):
        raise ConfigError(
            f"{key}.gpus_per_worker: a share of one GPU or whole ones are wanted, got {given:g}"
        )
    if spread > 1 and 0 < given < spread:
        raise ConfigError(
            f"{key}.gpus_per_worker: too few GPUs for one worker: its engine is spread over"
            f" {spread} (engine.tensor_parallel), and it gets {given:g}; leave"
            " gpus_per_worker out to give it as many"
        )
    return given


def _on(engine: EngineSettings, kind: RayConfig, key: str) -> EngineSettings:
    """The engine as it runs on the GPUs of such a worker.

    Raises:
        ConfigError: workers that share a GPU would take more than its memory; or GPUs of several
            nodes are asked for, and not for one engine.
    """
    gpus = kind.gpus_per_worker or 0
    if not isinstance(engine, EngineConfig):
        return engine
    changes: dict[str, object] = {}
    if 0 < gpus < 1:
        changes["gpu_memory_utilization"] = _share(engine, kind, key)
    if gpus and engine.spread > 1 and BACKEND not in engine.vllm:
        backend = "ray" if kind.across_nodes else "mp"
        changes["vllm"] = {**engine.vllm, BACKEND: backend}
    if kind.across_nodes and engine.spread != gpus:
        raise ConfigError(
            f"cluster.across_nodes: one engine takes the GPUs of several nodes, and it is spread"
            f" over {engine.spread} (engine.tensor_parallel) where a worker gets {gpus:g}; leave"
            " gpus_per_worker out, or across_nodes"
        )
    return engine.model_copy(update=changes) if changes else engine


def _share(engine: EngineConfig, kind: RayConfig, key: str) -> float:
    """How much of a GPU's memory an engine may use, of a worker with a share of it.

    Raises:
        ConfigError: those that share one would use more than all of it.
    """
    gpus = kind.gpus_per_worker or 0.0
    wanted = engine.gpu_memory_utilization
    if wanted is None:
        return round(GPU_SHARE * gpus, 4)
    sharing = int(1 / gpus + 1e-6)
    if kind.workers is not None:
        sharing = min(sharing, kind.parallelism)
    if sharing * wanted > 1 + 1e-6:
        raise ConfigError(
            f"engine.gpu_memory_utilization: {wanted:g} of a GPU for each of {sharing} workers that"
            f" share it ({key}.gpus_per_worker: {gpus:g}) is more than all of it; leave it out to"
            f" take {GPU_SHARE:g} of a worker's share"
        )
    return wanted
