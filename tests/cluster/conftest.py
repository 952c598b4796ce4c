"""One Ray for the tests of executors: a cluster with two CPUs, to which a test may add nodes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evomerge.cluster.base import Executor
from evomerge.cluster.config import InProcessConfig, RayConfig
from evomerge.cluster.registry import make_executor
from tests.cluster.performers import Script

TARGET = "tests.cluster.performers:Scripted"

Make = Callable[..., Executor]


@pytest.fixture(scope="package")
def cluster() -> Iterator[Any]:
    """Its workers can import the tests."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    head = {"num_cpus": 2, "include_dashboard": False, "object_store_memory": 100 << 20}
    nodes = Cluster(initialize_head=True, head_node_args=head)
    ray.init(nodes.address, log_to_driver=False)
    yield nodes
    ray.shutdown()
    nodes.shutdown()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.fixture
def on_ray(cluster: Any, tmp_path: Path) -> Iterator[Make]:
    """Makes executors on that Ray, whose workers keep to a script; they are closed at the end."""
    made: list[Executor] = []

    def make(*, script: dict[str, Any] | None = None, **config: Any) -> Executor:
        patient = {"address": "auto", "ray_timeout_s": 59}
        settings = RayConfig.model_validate(patient | config)
        made.append(make_executor(settings, TARGET, Script(folder=str(tmp_path), **script or {})))
        return made[-1]

    yield make
    for executor in made:
        executor.close()


@pytest.fixture
def in_process(tmp_path: Path) -> Make:
    """As `on_ray`, for the executor in this process."""

    def make(*, script: dict[str, Any] | None = None, **config: Any) -> Executor:
        settings = InProcessConfig.model_validate(config)
        return make_executor(settings, TARGET, Script(folder=str(tmp_path), **script or {}))

    return make
