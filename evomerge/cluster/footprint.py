"""What workers take of their nodes in bytes, and what nodes lack of it.

Reckoned from headers alone, before anything is started; so it says what is missing, and only what
is certain refuses a job: weights that no GPU has room for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evomerge.cluster.config import ClusterConfig
from evomerge.cluster.node_facts import NodeFacts
from evomerge.cluster.placement import Needs
from evomerge.engines.config import GPU_SHARE, EngineConfig, EngineSettings
from evomerge.errors import ConfigError
from evomerge.value import Value
from evomerge.wording import count

__all__ = ["Footprint", "Models", "check_footprint", "footprint"]

GIB = 1 << 30
PROCESS = 1 * GIB
"""Of a worker's own: Python, torch, the engine's code and buffers."""
CPU_CACHE = 1 * GIB
"""vLLM's cache of keys and values on a CPU, where nothing else is said."""
SHOWN = 3
"""So many nodes are told of one by one."""


class Models(Value):
    """What a search's workers hold, in bytes."""

    weights: int
    """Of the model that an engine holds."""
    parents: int
    """Of all sources together, each once."""
    downloads: int = 0
    """Of those that come from a hub."""


class Footprint(Value):
    """What one kind of worker takes, in bytes."""

    worker: int
    """Memory of its own."""
    shared: int
    """Memory that all workers of a node share: the parents, mapped from their files."""
    gpu: int
    """Weights on each of its GPUs; 0 where it has none."""
    disk: int
    """On each node: models that are downloaded there once."""


def footprint(models: Models, kind: ClusterConfig, engine: EngineSettings) -> Footprint:
    """What a worker of this kind takes with this engine.

    On a CPU the weights are twice in memory: in the engine, and as much again for what a merge
    works with (its result by tensors, statistics of the parents). On GPUs they are there, by ranks.
    """
    if not kind.gpus_per_worker:
        own, gpu = PROCESS + _cache(engine) + 2 * models.weights, 0
    else:
        own, gpu = engine.spread * PROCESS, models.weights // engine.spread
    return Footprint(worker=own, shared=models.parents, gpu=gpu, disk=models.downloads)


def _cache(engine: EngineSettings) -> int:
    if not isinstance(engine, EngineConfig):
        return 0
    if engine.kv_cache_gib is not None:
        return int(engine.kv_cache_gib * GIB)
    return CPU_CACHE if engine.kind == "vllm" else 0


def check_footprint(
    kind: ClusterConfig, engine: EngineSettings, models: Models, nodes: Sequence[NodeFacts]
) -> list[str]:
    """What nodes lack for workers of this kind, a sentence for each thing of the first three nodes.

    Raises:
        ConfigError: on no GPU that is known the weights have room.
    """
    takes = footprint(models, kind, engine)
    _check_gpu_memory(kind, engine, takes, nodes)
    needs = Needs(kind)
    most = kind.parallelism if kind.workers is not None else None
    lacking: list[list[str]] = []
    for node in nodes:
        workers = needs.held_by([node.resources])
        if said := list(_lacks(node, workers if most is None else min(workers, most), takes)):
            lacking.append(said)
    told = [sentence for of_one in lacking[:SHOWN] for sentence in of_one]
    if more := lacking[SHOWN:]:
        told.append(f"{count(len(more), 'more node')} like these")
    return told


def _check_gpu_memory(
    kind: ClusterConfig, engine: EngineSettings, takes: Footprint, nodes: Sequence[NodeFacts]
) -> None:
    largest = max((size for node in nodes for size in node.gpu_memory or ()), default=None)
    if largest is None or not takes.gpu:
        return
    share = min(kind.gpus_per_worker or 1.0, 1.0)
    if isinstance(engine, EngineConfig):
        share = engine.gpu_memory_utilization or GPU_SHARE * share
    if takes.gpu > share * largest:
        cure = "give each worker a larger share (gpus_per_worker)"
        if (kind.gpus_per_worker or 0) >= 1:
            wanted = -(-takes.gpu * engine.spread // int(share * largest))
            cure = f"engine.tensor_parallel: {1 << (wanted - 1).bit_length()} would do"
        raise ConfigError(
            f"engine: its weights take {_gib(takes.gpu)} on each GPU of a worker, and the largest"
            f" has {_gib(largest)}, of which it may use {share:g}; {cure}"
        )


def _lacks(node: NodeFacts, workers: int, takes: Footprint) -> Iterator[str]:
    if not workers:
        return
    memory = workers * takes.worker + takes.shared
    if node.memory is not None and memory > node.memory:
        yield (
            f"cluster: {node.name} has {_gib(node.memory)} of memory, and"
            f" {count(workers, 'worker')} there would take about {_gib(memory)}:"
            f" {_gib(takes.worker)} each, and {_gib(takes.shared)} for the parents; give each more"
            " CPUs (cpus_per_worker), or have fewer workers"
        )
    if node.disk_free is not None and takes.disk > node.disk_free:
        yield (
            f"cluster: {node.name} has {_gib(node.disk_free)} free in {node.models}, and models of"
            f" {_gib(takes.disk)} are downloaded there, those that it lacks; HF_HOME names another"
            " folder"
        )


def _gib(size: int) -> str:
    return f"{size / GIB:.2g} GiB" if size < 10 * GIB else f"{size / GIB:.0f} GiB"
