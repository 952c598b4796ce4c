"""What Ray would find on this machine, without starting it, and what a cluster has by its address.

Imports Ray, so what only needs to count CPUs does not call it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import ray

from evomerge.cluster.config import RayConfig
from evomerge.cluster.ray_connection import RayConnection
from evomerge.value import parse

__all__ = ["cluster_nodes", "machine"]


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


def cluster_nodes(settings: Mapping[str, Any]) -> list[dict[str, float]]:
    """Resource -> amount, of each node of the cluster that these settings name; it is connected to.

    Raises:
        ConfigError: there is no cluster at the address.
    """
    connection = RayConnection(parse(RayConfig, settings, origin="cluster"))
    try:
        return [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]
    finally:
        connection.close()
