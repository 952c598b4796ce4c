"""What workers take of their nodes, and what nodes lack of it."""

from __future__ import annotations

from typing import Any

import pytest

from evomerge.cluster.config import RayConfig
from evomerge.cluster.footprint import GIB, Models, check_footprint, footprint
from evomerge.cluster.node_facts import NodeFacts, node_facts
from evomerge.engines.config import EngineConfig
from evomerge.errors import ConfigError

SEVEN = Models(weights=14 * GIB, parents=56 * GIB, downloads=56 * GIB)
"""Three parents of 7B in bfloat16, and their base."""


def lacks(
    *nodes: dict[str, Any], engine: dict[str, Any] | None = None, **cluster: Any
) -> list[str]:
    told = [
        NodeFacts.model_validate({"name": "node a", "resources": {"CPU": 8, "GPU": 8}} | node)
        for node in nodes
    ]
    settings = EngineConfig.model_validate({"kind": "vllm"} | (engine or {}))
    return check_footprint(RayConfig.model_validate(cluster), settings, SEVEN, told)


def test_on_a_cpu_weights_are_in_memory_and_on_gpus_there() -> None:
    engine = EngineConfig(tensor_parallel=2)
    on_cpu = footprint(SEVEN, RayConfig(), engine)
    assert on_cpu.gpu == 0
    assert on_cpu.worker > 2 * SEVEN.weights
    on_gpu = footprint(SEVEN, RayConfig(gpus_per_worker=2), engine)
    assert on_gpu.gpu == 7 * GIB
    assert on_gpu.worker == 2 * GIB, "a process for each rank"
    assert on_cpu.shared == on_gpu.shared == SEVEN.parents


def test_memory_that_a_node_lacks() -> None:
    assert lacks({"memory": 400 * GIB}, cpus_per_worker=1, workers=2) == []
    (said,) = lacks({"memory": 64 * GIB}, cpus_per_worker=4, workers=8)
    assert said == (
        "cluster: node a has 64 GiB of memory, and 2 workers there would take about 116 GiB: 30 GiB"
        " each, and 56 GiB for the parents; give each more CPUs (cpus_per_worker), or have fewer"
        " workers"
    )
    assert lacks({"memory": 1 * GIB, "resources": {"CPU": 2}}, cpus_per_worker=4) == []


def test_disk_that_a_node_lacks() -> None:
    node = {"memory": 400 * GIB, "models": "/cache", "disk_free": 20 * GIB}
    (said,) = lacks(node, workers=1)
    assert "node a has 20 GiB free in /cache, and models of 56 GiB are downloaded there" in said


def test_gpus_without_room_for_the_weights_are_refused() -> None:
    small = {"gpu_memory": [8 * GIB] * 8}
    with pytest.raises(ConfigError) as caught:
        lacks(small, gpus_per_worker=1)
    assert str(caught.value) == (
        "engine: its weights take 14 GiB on each GPU of a worker, and the largest has 8 GiB, of"
        " which it may use 0.9; engine.tensor_parallel: 2 would do"
    )
    assert lacks(small, gpus_per_worker=2, engine={"tensor_parallel": 2}) == []
    assert lacks({"gpu_memory": [24 * GIB]}, small, gpus_per_worker=1) == []
    assert lacks({}, gpus_per_worker=1) == [], "how much the GPUs have is not known"
    with pytest.raises(ConfigError, match=r"which it may use 0\.225; give each worker a larger"):
        lacks({"gpu_memory": [40 * GIB]}, gpus_per_worker=0.25)


def test_many_nodes_are_three_sentences_and_a_number() -> None:
    said = lacks(*({"name": f"node {n}", "memory": GIB} for n in range(9)), workers=9)
    assert len(said) == 4
    assert said[-1] == "6 more nodes like these"


def test_a_node_that_lacks_two_things_is_one_node() -> None:
    full = {"memory": GIB, "disk_free": GIB, "models": "/cache"}
    said = lacks(*({"name": f"node {n}"} | full for n in range(4)), workers=9)
    assert [sentence.split()[2] for sentence in said[:-1]] == ["0", "0", "1", "1", "2", "2"]
    assert said[-1] == "1 more node like these"


def test_this_machine_is_known_without_ray() -> None:
    here = NodeFacts.model_validate(node_facts())
    assert (here.memory or 0) > GIB
    assert (here.disk_free or 0) > 0
