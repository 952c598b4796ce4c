"""What Ray adds: processes that die, places that are not there, nodes that come and go."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evomerge.cluster.base import Executor, Task, WorkerStatus
from evomerge.errors import ConfigError, InfrastructureError
from evomerge.recipe.source import Source
from tests.cluster.conftest import Make
from tests.cluster.driving import collect, failure, submit, until, value

pytestmark = pytest.mark.ray


def pid(worker: WorkerStatus) -> int:
    assert worker.where is not None
    return int(worker.where.rpartition("pid ")[2])


def count(executor: Executor, state: str) -> int:
    return sum(worker.state == state for worker in executor.workers())


def says(executor: Executor, words: str) -> bool:
    return words in (executor.waiting_for() or "")


def test_a_killed_worker_is_replaced_and_its_candidate_runs_again(
    on_ray: Make, tmp_path: Path
) -> None:
    executor = on_ray(workers=2)
    results = collect(executor, "0.1", "kill once", "0.2")
    assert value(results["1"]) == 1.0
    assert results["1"].attempts == 2
    assert (tmp_path / "1").read_text() == "xx"
    assert (tmp_path / "0").read_text() == "x", "a finished candidate ran again"
    assert sum(worker.restarts for worker in executor.workers()) == 1


def test_a_candidate_that_always_kills_its_worker_fails_and_the_others_go_on(on_ray: Make) -> None:
    results = collect(on_ray(workers=2, max_attempts=2), "kill", "0.1")
    assert failure(results["0"])[0] == "infrastructure"
    assert results["0"].attempts == 2
    assert value(results["1"]) == 0.1


def test_deaths_at_work_are_no_deaths_before_it(on_ray: Make) -> None:
    """The only worker dies more often than one that does not come up may."""
    results = collect(on_ray(workers=1, max_attempts=4), "kill", "0.1")
    assert failure(results["0"])[0] == "infrastructure"
    assert results["0"].attempts == 4
    assert value(results["1"]) == 0.1


def test_four_workers_on_two_cpus_run_with_two_and_say_so(on_ray: Make) -> None:
    executor = on_ray(workers=4, placement_notice_s=0.1)
    results = collect(executor, *(f"0.{i}" for i in range(6)))
    assert len(results) == 6
    assert len({result.worker for result in results.values()}) <= 2
    expected = "2 of 4 workers wait for 1 CPU each; the cluster has 2 CPU (0 free)"
    until(executor, lambda: says(executor, expected))
    assert executor.free == 2


def test_a_deadline_below_the_start_time_is_no_matter(on_ray: Make) -> None:
    """The limit, 10 s in all, is a thousand times what the evaluation takes."""
    executor = on_ray(workers=1, candidate_timeout_s=5, grace_s=5, script={"start_s": 11})
    results = collect(executor, "0.1", "0.2")
    assert [value(result) for result in results.values()] == [0.1, 0.2]
    assert executor.workers()[0].restarts == 0


def test_death_before_a_worker_is_up_costs_no_attempt(on_ray: Make) -> None:
    executor = on_ray(workers=1, max_attempts=1, script={"deaths": 2})
    result = collect(executor, "0.1")["0"]
    assert (value(result), result.attempts) == (0.1, 1)
    assert executor.workers()[0].restarts == 2


def test_a_hung_evaluation_ends_at_its_deadline_once_and_the_worker_is_well_again(
    on_ray: Make, tmp_path: Path
) -> None:
    """Only the one that hangs has a deadline, so that no other can miss it."""
    executor = on_ray(workers=1, grace_s=1)
    results: dict[str, Any] = {}
    submit(executor, "0", "hang", deadline_s=1)
    submit(executor, "1", "0.1")
    until(executor, lambda: len(results) == 2, results)
    assert failure(results["0"]) == (
        "candidate",
        "its evaluation took longer than its deadline, 1 s",
    )
    assert results["0"].attempts == 1
    assert (tmp_path / "0").read_text() == "x"
    assert value(results["1"]) == 0.1
    assert (count(executor, "idle"), executor.workers()[0].restarts) == (1, 1)


def test_a_start_that_hangs_is_begun_again(on_ray: Make) -> None:
    executor = on_ray(workers=1, start_timeout_s=1, script={"start_s": 600})
    with pytest.raises(InfrastructureError, match=r"the last one said: it did not come up in 1 s"):
        collect(executor, "0.1")


def test_workers_that_never_come_up_stop_the_search_with_the_reason(
    on_ray: Make, tmp_path: Path
) -> None:
    executor = on_ray(workers=2, script={"seats": 0})
    with pytest.raises(InfrastructureError, match=r"do not come up.*no seat left"):
        collect(executor, "0.1")
    assert not (tmp_path / "0").exists()


def test_what_the_user_wants_and_is_not_there_is_said_once_and_as_such(
    on_ray: Make, tmp_path: Path
) -> None:
    executor = on_ray(workers=2, script={"wanted": "the engine"})
    with pytest.raises(ConfigError, match=r"^the engine is not installed$"):
        collect(executor, "0.1")
    # Neither worker is started again for it.
    assert len((tmp_path / "starts").read_text()) <= 2


def test_a_worker_that_never_comes_up_is_given_up_while_another_works(on_ray: Make) -> None:
    executor = on_ray(workers=2, script={"seats": 1})
    until(executor, lambda: says(executor, "1 of 2 did not come up: ValueError: no seat left"))
    assert len(collect(executor, "0.1", "0.2", "0.3")) == 3
    assert (count(executor, "idle"), count(executor, "lost")) == (1, 1)


def test_an_idle_worker_that_dies_is_replaced(on_ray: Make) -> None:
    executor = on_ray(workers=1)
    until(executor, lambda: count(executor, "idle") == 1)
    os.kill(pid(executor.workers()[0]), signal.SIGKILL)
    until(executor, lambda: executor.workers()[0].restarts == 1 and count(executor, "idle") == 1)
    result = collect(executor, "0.1")["0"]
    assert (value(result), result.attempts) == (0.1, 1)


def test_what_is_cancelled_while_it_runs_is_not_delivered(on_ray: Make, tmp_path: Path) -> None:
    executor = on_ray(workers=1)
    submit(executor, "a", "hold")
    until(executor, lambda: count(executor, "busy") == 1)
    executor.cancel("a")
    assert executor.free == 0, "its worker is still at it"
    (tmp_path / "go").touch()
    until(executor, lambda: executor.free == 1)
    assert executor.workers()[0].restarts == 0


def test_a_busy_worker_drains(on_ray: Make, tmp_path: Path) -> None:
    executor = on_ray(workers=2)
    until(executor, lambda: executor.free == 2)
    submit(executor, "a", "hold")
    until(executor, lambda: count(executor, "busy") == 1)
    executor.drain()
    assert [worker.state for worker in executor.workers()] == ["draining"]
    (tmp_path / "go").touch()
    results: dict[str, Any] = {}
    until(executor, lambda: "a" in results, results)
    assert executor.workers() == []


def test_a_worker_joins_late_and_leaves_with_its_node(
    on_ray: Make, cluster: Any, tmp_path: Path
) -> None:
    node = {"num_cpus": 1, "resources": {"seat": 1}, "object_store_memory": 100 << 20}
    stays = cluster.add_node(**node)
    executor = on_ray(workers={"min": 2, "max": 3}, resources={"seat": 1}, placement_notice_s=0.1)
    for id_ in ("a", "b"):
        submit(executor, id_, "hold")
    until(executor, lambda: count(executor, "busy") == 1)
    until(executor, lambda: says(executor, "2 of 3 workers wait for 1 seat each"))

    joined = cluster.add_node(**node)
    until(executor, lambda: count(executor, "busy") == 2)
    assert executor.waiting_for() is None, "as many as cluster.workers.min"

    cluster.remove_node(joined, allow_graceful=False)
    until(executor, lambda: count(executor, "lost") == 1)
    until(executor, lambda: says(executor, "2 of 3 workers wait for 1 seat each"))
    (tmp_path / "go").touch()
    results: dict[str, Any] = {}
    until(executor, lambda: len(results) == 2, results)
    assert sorted(result.attempts for result in results.values()) == [1, 2]
    executor.close()
    cluster.remove_node(stays)


def test_a_task_has_its_title_in_rays_dashboard_and_a_worker_its_study(
    on_ray: Make, tmp_path: Path
) -> None:
    from evomerge.cluster.ray import EvomergeWorker

    executor = on_ray(workers=1)
    executor.submit(Task("0", Source(model="name"), "search", title="json-math candidate 0"))
    results: dict[str, Any] = {}
    until(executor, lambda: len(results) == 1, results)
    assert value(results["0"]) == 1.0
    assert (tmp_path / "title").read_text() == "json-math candidate 0"
    worker = EvomergeWorker.__ray_metadata__.modified_class  # type: ignore[attr-defined]
    assert repr(worker("json-math", "3")) == "json-math worker 3"


@pytest.fixture
def odd_node(cluster: Any, tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Adds a node whose processes find a folder's packages before all others."""
    added = []

    def add(packages: Path) -> None:
        path = f"{packages}{os.pathsep}{os.environ['PYTHONPATH']}"
        node = {"num_cpus": 1, "resources": {"odd": 1}, "object_store_memory": 100 << 20}
        added.append(cluster.add_node(**node, env_vars={"PYTHONPATH": path}))

    yield add
    for node in added:
        cluster.remove_node(node)


def test_a_node_with_another_evomerge_is_named(
    on_ray: Make, odd_node: Callable[[Path], None], tmp_path: Path
) -> None:
    about = tmp_path / "odd" / "evomerge-9.0.dist-info" / "METADATA"
    about.parent.mkdir(parents=True)
    about.write_text("Metadata-Version: 2.1\nName: evomerge\nVersion: 9.0\n")
    odd_node(tmp_path / "odd")
    executor = on_ray(workers=1, resources={"odd": 1})
    with pytest.raises(ConfigError, match=r"^node [\d.]+ has evomerge 9\.0, and the driver has "):
        collect(executor, "0.1")
    assert not (tmp_path / "starts").exists()


DRIVER = """
import sys
from evomerge.cluster.config import RayConfig
from evomerge.cluster.registry import make_executor
from tests.cluster.driving import collect
from tests.cluster.performers import Script
config = RayConfig(address=sys.argv[1], workers=1, resources={"odd": 1}, ray_timeout_s=59)
executor = make_executor(config, "tests.cluster.performers:Scripted", Script(folder=sys.argv[2]))
try:
    collect(executor, "0.1")
finally:
    executor.close()
"""


def test_a_node_without_evomerge_is_named(
    cluster: Any, odd_node: Callable[[Path], None], tmp_path: Path
) -> None:
    """A driver of its own, since this process has given its path to the cluster's workers."""
    package = tmp_path / "odd" / "evomerge" / "__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text(
        "raise ModuleNotFoundError(\"No module named 'evomerge'\", name='evomerge')\n"
    )
    odd_node(tmp_path / "odd")
    driver = [sys.executable, "-c", DRIVER, cluster.address, str(tmp_path)]
    ended = subprocess.run(driver, capture_output=True, text=True, cwd=tmp_path)
    said = ended.stderr.strip().splitlines()[-1]
    law = r"^evomerge\.errors\.ConfigError: node [\d.]+ has no evomerge that can be imported "
    assert re.match(law + r"\(ModuleNotFoundError: No module named 'evomerge'\); install", said)


def test_a_node_that_is_lost_uses_up_no_attempt(on_ray: Make, cluster: Any, tmp_path: Path) -> None:
    node = {"num_cpus": 1, "resources": {"spot": 1}, "object_store_memory": 100 << 20}
    first = cluster.add_node(**node)
    executor = on_ray(workers=1, resources={"spot": 1}, max_attempts=1)
    submit(executor, "a", "hold")
    until(executor, lambda: count(executor, "busy") == 1)
    second = cluster.add_node(**node)
    cluster.remove_node(first, allow_graceful=False)
    until(executor, lambda: executor.workers()[0].restarts == 1)
    until(executor, lambda: count(executor, "busy") == 1)
    (tmp_path / "go").touch()
    results: dict[str, Any] = {}
    until(executor, lambda: len(results) == 1, results)
    assert (value(results["a"]), results["a"].attempts) == (1.0, 2)
    executor.close()
    cluster.remove_node(second)


def test_a_worker_moves_away_from_a_node_that_is_drained(on_ray: Make, cluster: Any) -> None:
    """A spot node that was given notice: what is idle there begins nothing more."""
    import ray
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    node = {"num_cpus": 1, "resources": {"notice": 1}, "object_store_memory": 100 << 20}
    first = cluster.add_node(**node)
    executor = on_ray(workers=1, resources={"notice": 1}, max_attempts=1)
    until(executor, lambda: count(executor, "idle") == 1)
    there = [node["NodeID"] for node in ray.nodes() if node["Resources"].get("notice")]
    second = cluster.add_node(**node)
    preemption, an_hour_ms = 2, 3_600_000
    deadline_ms = int(time.time() * 1000) + an_hour_ms
    gcs = GcsClient(address=cluster.address)
    assert gcs.drain_node(there[0], preemption, "a spot node is taken back", deadline_ms)[0]
    until(executor, lambda: executor.workers()[0].restarts == 1)
    until(executor, lambda: count(executor, "idle") == 1)
    assert value(collect(executor, "0.1")["0"]) == 0.1
    executor.close()
    cluster.remove_node(first, allow_graceful=False)
    cluster.remove_node(second)


def test_workers_of_two_kinds_have_their_own_places(on_ray: Make, cluster: Any) -> None:
    node = cluster.add_node(num_cpus=1, num_gpus=1, object_store_memory=100 << 20)
    pools = [
        {"workers": 4, "gpus_per_worker": 0.25, "cpus_per_worker": 0.25},
        {"workers": 2, "cpus_per_worker": 1, "gpus_per_worker": 0},
    ]
    executor = on_ray(pools=pools)
    until(executor, lambda: count(executor, "idle") == 6)
    results = collect(executor, *(f"0.{number}" for number in range(6)))
    assert len({result.worker for result in results.values()}) == 6
    executor.close()
    cluster.remove_node(node)


def test_a_worker_over_two_nodes_is_a_placement_group_that_goes_with_it(
    on_ray: Make, cluster: Any
) -> None:
    ray = pytest.importorskip("ray")
    nodes = [cluster.add_node(num_gpus=1, object_store_memory=100 << 20) for _ in range(2)]
    executor = on_ray(workers=1, gpus_per_worker=2, across_nodes=True)
    until(executor, lambda: count(executor, "idle") == 1)
    assert value(collect(executor, "0.1")["0"]) == 0.1

    def groups() -> list[str]:
        table = ray.util.placement_group_table()
        return [group["state"] for group in table.values() if len(group["bundles"]) == 2]

    assert groups() == ["CREATED"]
    os.kill(pid(executor.workers()[0]), signal.SIGKILL)
    until(executor, lambda: executor.workers()[0].restarts == 1 and count(executor, "idle") == 1)
    assert sorted(groups()) == ["CREATED", "REMOVED"]
    executor.close()
    assert set(groups()) == {"REMOVED"}
    for node in nodes:
        cluster.remove_node(node)


@pytest.mark.parametrize("limit_s", [300, None])
def test_places_that_nobody_has_are_told(on_ray: Make, limit_s: float | None) -> None:
    """Without a limit a search waits in the queue of a full cluster, and says for what."""
    limits = {"placement_notice_s": 0.2, "placement_timeout_s": limit_s}
    executor = on_ray(workers=2, gpus_per_worker=1, **limits)
    expected = "2 of 2 workers wait for 1 GPU each; the cluster has 0 GPU"
    until(executor, lambda: says(executor, expected))
    assert executor.free == 0


def test_places_that_nobody_has_end_the_search(on_ray: Make) -> None:
    executor = on_ray(workers=2, gpus_per_worker=1, placement_timeout_s=0.5)
    submit(executor, "a", "0.1")
    with pytest.raises(InfrastructureError, match=r"no worker found a place in 0\.5 s: 2 of 2"):
        until(executor, lambda: False)


def test_a_machine_that_cannot_hold_a_worker_is_refused(on_ray: Make) -> None:
    with pytest.raises(ConfigError, match="a worker needs 99 CPU, this machine has "):
        on_ray(address=None, cpus_per_worker=99)
