"""Executors by kind: built in, or by entry point from another package.

An entry is called with its settings (a `ClusterConfig`), the target `package.module:class` of what
its workers are, and the configuration that each of those is made from.
"""

from __future__ import annotations

from evomerge.cluster.base import Executor
from evomerge.cluster.config import ClusterConfig, InProcessConfig, RayConfig
from evomerge.plugins import Deferred, Factory, Registry
from evomerge.value import Value

__all__ = ["EXECUTORS", "make_executor"]

RAY = Deferred(RayConfig, "evomerge.cluster.ray:RayExecutor")
IN_PROCESS = Deferred(InProcessConfig, "evomerge.cluster.local:in_process")

EXECUTORS: Registry[Factory] = Registry(
    role="executor",
    group="evomerge.executors",
    built_in={"in_process": f"{__name__}:IN_PROCESS", "ray": f"{__name__}:RAY"},
    default="ray",
)


def make_executor(cluster: ClusterConfig, target: str, worker: Value) -> Executor:
    """The executor that a job asks for, its workers about to start.

    Raises:
        ConfigError: there is no such cluster, or not even one worker fits it.
    """
    executor: Executor = EXECUTORS.make(cluster, target, worker)
    return executor
