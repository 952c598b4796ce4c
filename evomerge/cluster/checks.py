"""Whether workers would find a place, told before any is asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping

from evomerge.cluster.config import ClusterConfig, RayConfig
from evomerge.cluster.placement import Needs
from evomerge.plugins import load
from evomerge.subprocess_call import call_in_subprocess

__all__ = ["check_address", "check_here", "gpus_here"]

MACHINE = "evomerge.cluster.machine:machine"
NODES = "evomerge.cluster.machine:cluster_nodes"


def check_here(cluster: ClusterConfig) -> list[str]:
    """Warnings about workers on this machine; Ray is not started.

    A cluster by address is left aside: it is looked at by `check_address`, and by the search when
    it connects. Executors of other packages are not known well enough.

    Raises:
        ConfigError: the machine cannot hold even one worker.
    """
    if not isinstance(cluster, RayConfig) or cluster.address is not None:
        return []
    needs = Needs(cluster)
    # Importing Ray takes a second or two, and is not needed to count CPUs.
    total = {"CPU": float(os.cpu_count() or 1)} if needs.only_cpus else _machine()
    if total is None:
        return ["cluster: this version of Ray does not tell what this machine has"]
    return needs.remarks([total])


def check_address(cluster: ClusterConfig) -> list[str]:
    """Warnings about workers on a cluster that runs, which is connected to and left again.

    Nodes may join later, so what no node has now is no error.

    Raises:
        ConfigError: there is no cluster at the address.
    """
    if not isinstance(cluster, RayConfig) or cluster.address is None:
        return []
    return Needs(cluster).remarks(call_in_subprocess(NODES, cluster.model_dump(mode="json")))


def gpus_here() -> float | None:
    """How many GPUs this machine has; None where Ray does not tell."""
    total = _machine()
    return None if total is None else total.get("GPU", 0.0)


def _machine() -> Mapping[str, float] | None:
    total: Mapping[str, float] | None = load(MACHINE)()
    return total
