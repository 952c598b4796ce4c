"""Executors by kind: built in, or by entry point from another package.

An entry is called with its settings (a `ClusterConfig`), the target `package.module:class` of what
its workers are, and the configuration that each of those is made from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evomerge import catalog as catalogs
from evomerge.cluster.base import Executor
from evomerge.cluster.config import CLIENT, ClusterConfig, InProcessConfig, RayConfig
from evomerge.errors import ConfigError
from evomerge.plugins import Deferred, Factory, Registry
from evomerge.recipe.file_kind import instead_of_an_entry
from evomerge.recipe.yaml_reading import read_mapping
from evomerge.value import Value

__all__ = ["EXECUTORS", "make_executor", "read_cluster"]

RAY = Deferred(RayConfig, "evomerge.cluster.ray:RayExecutor")
IN_PROCESS = Deferred(InProcessConfig, "evomerge.cluster.local:in_process")

EXECUTORS: Registry[Factory] = Registry(
    role="executor",
    group="evomerge.executors",
    built_in={"in_process": f"{__name__}:IN_PROCESS", "ray": f"{__name__}:RAY"},
    default="ray",
)


ADDRESS = re.compile(r"auto|[^\s/:]+:\d+|\[[0-9a-fA-F:]+\]:\d+")
"""Of a Ray cluster's head node: `auto`, `host:port`."""


def read_cluster(
    written: str, *, folder: Path, catalog: Path | None = None
) -> Mapping[str, Any] | str:
    """What a job means that says where it runs in one word: settings as plain data, or their kind.

    An entry of the catalog or a file; else the address of a Ray cluster, short for `{kind: ray,
    address: ...}`; else the kind of an executor without settings of its own.

    Raises:
        ConfigError: it is none of these.
    """
    if written.startswith("ray://"):
        raise ConfigError(f"{written} {CLIENT}")
    entries = dict(catalogs.entries("cluster", catalog=catalog))
    if written not in entries:
        if ADDRESS.fullmatch(written):
            return {"kind": "ray", "address": written}
        if written in EXECUTORS.known:
            return written
    path = catalogs.find("cluster", written, folder=folder, catalog=catalog)
    data = read_mapping(path)
    if other := instead_of_an_entry(data, "cluster"):
        raise ConfigError(f"{path}: {other}")
    return data


def make_executor(cluster: ClusterConfig, target: str, worker: Value) -> Executor:
    """The executor that a job asks for, its workers about to start.

    Raises:
        ConfigError: there is no such cluster, or not even one worker fits it.
    """
    executor: Executor = EXECUTORS.make(cluster, target, worker)
    return executor
