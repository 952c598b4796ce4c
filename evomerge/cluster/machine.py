"""What Ray would find on this machine, without starting it, and what a cluster has by its address.

Imports Ray, so what only needs to count CPUs does not call it.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from evomerge.cluster.config import RayConfig
from evomerge.cluster.node_facts import node_facts
from evomerge.cluster.ray_connection import RayConnection
from evomerge.trust import process_environment
from evomerge.value import parse

__all__ = ["cluster_nodes", "machine"]

MOST = 64
"""So many nodes are asked for memory and disk; of a larger cluster they stand for the others."""
ANSWER_S = 8.0
"""How long their answers are waited for: a process is started on each."""


def machine() -> dict[str, float] | None:
    """Resource -> amount, as a Ray started here would count it, or as the one that runs in this
    process has it; None where this version of Ray does not tell.
    """
    if ray.is_initialized():
        return dict(ray.cluster_resources())
    try:  # Ray has no public way to ask this
        module: Any = importlib.import_module("ray._private.resource_and_label_spec")
        spec = module.ResourceAndLabelSpec().resolve(is_head=True, node_ip_address="127.0.0.1")
        counted: Mapping[str, float] = spec.to_resource_dict()
    except (ImportError, AttributeError, TypeError):
        return None
    return dict(counted)


def cluster_nodes(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Plain data of `NodeFacts` of each node of the cluster that these settings name, which is
    connected to. A node that does not answer soon is known by what Ray says of it.

    Raises:
        ConfigError: there is no cluster at the address.
    """
    connection = RayConnection(parse(RayConfig, settings, origin="cluster"))
    try:
        alive = [node for node in ray.nodes() if node["Alive"]]
        said = _asked(alive[:MOST])
        return [
            said.get(node["NodeID"], {})
            | {"name": _name(node), "resources": dict(node["Resources"])}
            for node in alive
        ]
    finally:
        connection.close()


def _name(node: Mapping[str, Any]) -> str:
    return f"node {node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


def _asked(nodes: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Node -> what a process on it says of it, of those where one answers in time."""
    asked: dict[Any, str] = {}
    task: Any = ray.remote(node_facts)
    environment = {"env_vars": process_environment()}
    for node in nodes:
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        options = {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": there}
        asked[task.options(**options, runtime_env=environment).remote()] = node["NodeID"]
    answered, late = ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_S)
    for reference in late:
        ray.cancel(reference, force=True)
    said = {}
    for reference in answered:
        with contextlib.suppress(RayError):  # no evomerge there, or an older one
            said[asked[reference]] = ray.get(reference)
    return said
