"""Places for workers, looked at before any is asked for."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import Any

import pytest

from evomerge.cluster.checks import check_address, check_here
from evomerge.cluster.config import InProcessConfig, RayConfig
from evomerge.errors import ConfigError


def here(**cluster: Any) -> list[str]:
    return check_here(RayConfig.model_validate(cluster))


def test_cpus_are_counted_without_ray() -> None:
    program = (
        "import sys\n"
        "from evomerge.cluster.checks import check_here\n"
        "from evomerge.cluster.config import RayConfig\n"
        "assert check_here(RayConfig(workers=1)) == []\n"
        "print('ray' in sys.modules)"
    )
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


def test_this_machine() -> None:
    cpus = os.cpu_count() or 1
    assert here(workers=cpus) == []
    assert here(workers={"min": cpus, "max": 9 * cpus}) == []
    assert here() == []
    (said,) = here(workers=cpus + 1)
    expected = f"{cpus + 1} are asked for, and this machine holds {cpus} at a time (1 CPU each)"
    assert said == f"cluster.workers: {expected}"
    with pytest.raises(
        ConfigError, match=f"a worker needs {cpus + 1} CPU, this machine has {cpus}"
    ):
        here(cpus_per_worker=cpus + 1)


def test_what_is_not_this_machine_is_left_aside() -> None:
    assert here(address="auto", gpus_per_worker=99) == []
    assert check_here(InProcessConfig(gpus_per_worker=99)) == []
    assert check_address(RayConfig(gpus_per_worker=99)) == []


@pytest.mark.ray
def test_an_address_where_nobody_listens_is_told_soon() -> None:
    with socket.socket() as silent:  # bound, so that nobody else has the port, and never listening
        silent.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ConfigError) as caught:
            check_address(RayConfig(address=address))
    assert str(caught.value).startswith(f"cluster.address: no Ray cluster at '{address}' (")
    assert "Connection refused" in str(caught.value)


@pytest.mark.ray
def test_a_cluster_that_runs(cluster: Any) -> None:
    def there(**keys: Any) -> list[str]:
        return check_address(RayConfig.model_validate({"address": cluster.address} | keys))

    assert there(workers=2) == []
    seat = {"resources": {"seat": 1}}
    with pytest.raises(ConfigError) as caught:
        there(workers=2, **seat)
    assert str(caught.value) == (
        "cluster: too few resources for one worker: it takes 1 seat on one node, and the node at"
        f" {cluster.address} that has most has 0; cluster.workers: {{min, max}} waits for nodes"
        " that join"
    )
    with pytest.raises(ConfigError, match=r"too few GPUs for one worker: it takes 1 GPU on one"):
        there(gpus_per_worker=1)
    (said,) = there(workers={"min": 2, "max": 4}, **seat)
    assert said == (
        f"cluster: 0 of 2 workers would have a place at {cluster.address} now (1 CPU and 1 seat"
        " each, on one node); the search waits for nodes that join"
    )
    # With Ray in this process, what it has is what counts.
    assert here(workers=2) == []
    with pytest.raises(ConfigError, match="a worker needs 1 GPU, this machine has 0"):
        here(gpus_per_worker=1)


@pytest.mark.ray
def test_what_is_counted_is_what_a_ray_started_here_has() -> None:
    program = (
        "import ray\n"
        "from evomerge.cluster.machine import machine\n"
        "counted = machine()\n"
        "ray.init('local', include_dashboard=False, log_to_driver=False)\n"
        "has = ray.cluster_resources()\n"
        "assert [counted.get(k) for k in ('CPU', 'GPU')] == [has.get(k) for k in ('CPU', 'GPU')]\n"
        "ray.shutdown()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
