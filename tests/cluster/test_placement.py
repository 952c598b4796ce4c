"""How many workers a cluster holds, and what is said where it holds fewer."""

from __future__ import annotations

from typing import Any

import pytest

from evomerge.cluster.config import RayConfig, WorkerRange
from evomerge.cluster.placement import Needs, remarks
from evomerge.errors import ConfigError


def needs(**cluster: Any) -> Needs:
    return Needs(RayConfig.model_validate(cluster))


@pytest.mark.parametrize(
    ("cluster", "total", "sizes"),
    [
        ({}, {"CPU": 3}, (3, 3)),
        ({"cpus_per_worker": 0.1}, {"CPU": 2}, (20, 20)),
        ({"cpus_per_worker": 2, "gpus_per_worker": 1}, {"CPU": 8, "GPU": 2}, (2, 2)),
        ({"resources": {"seat": 1}}, {"CPU": 8, "seat": 3}, (3, 3)),
        ({"workers": 4}, {"CPU": 2}, (4, 4)),
        ({"workers": {"min": 2, "max": 5}}, {"CPU": 3}, (2, 5)),
        # On a cluster by address nodes may still come.
        ({"address": "auto", "gpus_per_worker": 1}, {"CPU": 8}, (1, 1)),
    ],
)
def test_how_many_workers(
    cluster: dict[str, Any], total: dict[str, float], sizes: tuple[int, int]
) -> None:
    assert needs(**cluster).sizes(total) == WorkerRange(min=sizes[0], max=sizes[1])


def test_a_machine_that_holds_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="a worker needs 1 GPU, this machine has 0"):
        needs(gpus_per_worker=1).sizes({"CPU": 4})


def test_kinds_of_workers_share_what_there_is_those_with_gpus_first() -> None:
    """Two with a GPU take four of eight CPUs, wherever they stand in the list."""
    on_cpus: dict[str, Any] = {"workers": 6}
    on_gpus: dict[str, Any] = {"workers": 2, "gpus_per_worker": 1, "cpus_per_worker": 2}
    for pools in ([on_cpus, on_gpus], [on_gpus, on_cpus]):
        said = remarks(RayConfig.model_validate({"pools": pools}), [{"CPU": 8.0, "GPU": 2.0}])
        assert said == [
            "cluster.workers: 6 are asked for, and this machine holds 4 at a time (1 CPU each)"
        ]


FRAGMENTED = (
    "3 of 4 workers wait for 2 CPU and 1 GPU each; it has 4 CPU (2 free) and 2 GPU (1 free),"
    " perhaps not on one node"
)


@pytest.mark.parametrize(
    ("waiting", "total", "free", "sentence"),
    [
        (2, {"CPU": 8}, {"CPU": 8}, "2 of 4 workers wait for 1 GPU each; it has 0 GPU"),
        (
            1,
            {"CPU": 4, "GPU": 2},
            {"CPU": 1},
            "1 of 4 workers waits for 2 CPU and 1 GPU; it has 4 CPU (1 free) and 2 GPU (0 free)",
        ),
        (
            3,
            {"CPU": 4, "GPU": 2},
            {"CPU": 2, "GPU": 1},
            FRAGMENTED,
        ),
    ],
)
def test_what_is_said_of_a_shortage(
    waiting: int, total: dict[str, float], free: dict[str, float], sentence: str
) -> None:
    config = needs(cpus_per_worker=2, gpus_per_worker=1)
    said = config.shortage(waiting, 4, total, free)
    assert said == sentence.replace("it has", "the cluster has")
