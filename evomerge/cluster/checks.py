"""Whether workers would find a place, and room there, told before any is asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evomerge.cluster.config import ClusterConfig, RayConfig
from evomerge.cluster.fitting import kinds_of
from evomerge.cluster.footprint import Models, check_footprint
from evomerge.cluster.node_facts import NodeFacts, node_facts
from evomerge.cluster.placement import Needs, remarks
from evomerge.engines.config import EngineSettings
from evomerge.plugins import load as loaded
from evomerge.subprocess_call import call_in_subprocess

__all__ = ["Load", "check_address", "check_here", "gpus_here", "workers_expected"]

MACHINE = "evomerge.cluster.machine:machine"
NODES = "evomerge.cluster.machine:cluster_nodes"


@dataclass(frozen=True)
class Load:
    """What the workers are to hold: an engine, and models."""

    engine: EngineSettings
    models: Models


def check_here(cluster: ClusterConfig, load: Load | None = None) -> list[str]:
    """Warnings about workers on this machine; Ray is not started. `load`: None where only places
    are looked for.

    A cluster by address is left aside: it is looked at by `check_address`, and by the search when
    it connects. Executors of other packages are not known well enough.

    Raises:
        ConfigError: the machine cannot hold even one worker.
    """
    if not isinstance(cluster, RayConfig) or cluster.address is not None:
        return []
    total = _total(cluster)
    if total is None:
        return ["cluster: this version of Ray does not tell what this machine has"]
    said = remarks(cluster, [total])
    if load is None:
        return said
    here = NodeFacts.model_validate(node_facts() | {"resources": total})
    # The driver has read the models' headers here, so they lie on this disk.
    on_disk = load.models.model_copy(update={"downloads": 0})
    return said + _lacking(cluster, Load(load.engine, on_disk), [here])


def check_address(cluster: ClusterConfig, load: Load | None = None) -> list[str]:
    """Warnings about workers on a cluster that runs, which is connected to and left again. `load`:
    None where only places are looked for.

    Raises:
        ConfigError: there is no cluster at the address; or none of its nodes can hold a worker, and
            none is expected to join; or the weights have room on no GPU.
    """
    if not isinstance(cluster, RayConfig) or cluster.address is None:
        return []
    told = call_in_subprocess(NODES, cluster.model_dump(mode="json"))
    nodes = [NodeFacts.model_validate(node) for node in told]
    said = remarks(cluster, [node.resources for node in nodes])
    return said if load is None else said + _lacking(cluster, load, nodes)


def workers_expected(kind: ClusterConfig) -> int | None:
    """How many workers of a kind there are at most; None: as many as a cluster by address holds.

    Raises:
        ConfigError: this machine cannot hold even one.
    """
    if not isinstance(kind, RayConfig):
        return 1
    if kind.workers is not None:
        return kind.parallelism
    return None if kind.address is not None else Needs(kind).sizes(_total(kind) or {}).max


def _total(cluster: RayConfig) -> Mapping[str, float] | None:
    """What this machine has; Ray, which takes a second or two to be imported, is not needed to
    count CPUs."""
    if all(Needs(kind).only_cpus for kind in cluster.kinds):
        return {"CPU": float(os.cpu_count() or 1)}
    return _machine()


def _lacking(cluster: RayConfig, load: Load, nodes: Sequence[NodeFacts]) -> list[str]:
    said = [
        sentence
        for kind, engine in kinds_of(cluster, load.engine)
        for sentence in check_footprint(kind, engine, load.models, nodes)
    ]
    return list(dict.fromkeys(said))


def gpus_here() -> float | None:
    """How many GPUs this machine has; None where Ray does not tell."""
    total = _machine()
    return None if total is None else total.get("GPU", 0.0)


def _machine() -> Mapping[str, float] | None:
    total: Mapping[str, float] | None = loaded(MACHINE)()
    return total
