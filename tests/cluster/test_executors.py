"""What every executor does, and what Ray adds: workers that die are replaced."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from evomerge.cluster.base import Executor, Task, TaskResult
from evomerge.cluster.config import RayConfig
from evomerge.cluster.local import InProcess
from evomerge.errors import ConfigError, InfrastructureError
from evomerge.evaluators.base import Failure, Report
from evomerge.recipe.source import Source
from tests.cluster.performers import Script, Scripted

TARGET = "tests.cluster.performers:Scripted"


def collect(executor: Executor, *whats: str, patience_s: float = 60) -> dict[str, TaskResult]:
    """Submit one piece of work per word and wait for all of them."""
    for i, what in enumerate(whats):
        executor.submit(Task(f"{i}-{what.replace(' ', '-')}", Source(model=what), "search"))
    found: dict[str, TaskResult] = {}
    end = time.monotonic() + patience_s
    while len(found) < len(whats) and time.monotonic() < end:
        for done in executor.wait(1.0):
            assert done.id not in found, "delivered twice"
            found[done.id] = done
    return found


@pytest.fixture(scope="module")
def ray_here() -> Iterator[Any]:
    """One Ray for this module; its workers can import the tests."""
    ray = pytest.importorskip("ray")
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    ray.init(
        "local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=100 << 20,
    )
    yield ray
    ray.shutdown()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.fixture
def ray_executor(ray_here: Any, tmp_path: Path) -> Iterator[Executor]:
    from evomerge.cluster.ray import RayExecutor

    cluster = RayConfig(workers=2, max_attempts=2, candidate_timeout_s=20)
    executor = RayExecutor(cluster, TARGET, Script(folder=str(tmp_path)))
    yield executor
    executor.close()


def test_in_process_outcomes(tmp_path: Path) -> None:
    executor = InProcess(partial(Scripted, Script(folder=str(tmp_path))), max_attempts=2)
    found = collect(executor, "0.5", "failure", "raise")
    good, bad, broken = (found[key] for key in sorted(found))
    assert isinstance(good.outcome, Report)
    assert good.outcome.tasks["t"].value == 0.5
    assert bad.outcome == Failure(cause="candidate", message="not finite")
    assert isinstance(broken.outcome, Failure)
    assert broken.outcome.cause == "infrastructure"
    assert "out of memory" in broken.outcome.message
    assert broken.attempts == 2
    assert executor.wait(0) == []


def test_work_crosses_processes_as_configuration() -> None:
    task = Task("1", Source(model="x", adapter="y"), "search")
    assert pickle.loads(pickle.dumps(task)) == task


@pytest.mark.ray
def test_ray_outcomes_by_id(ray_executor: Executor) -> None:
    assert ray_executor.free == 2
    assert len(ray_executor.workers()) == 2
    found = collect(ray_executor, "0.1", "0.2", "0.3", "failure", "0.4")
    values = {
        key: done.outcome.tasks["t"].value
        for key, done in found.items()
        if isinstance(done.outcome, Report)
    }
    assert values == {"0-0.1": 0.1, "1-0.2": 0.2, "2-0.3": 0.3, "4-0.4": 0.4}
    assert found["3-failure"].outcome == Failure(cause="candidate", message="not finite")
    assert all("pid" in done.worker for done in found.values())


@pytest.mark.ray
def test_a_killed_worker_is_replaced_and_its_candidate_runs_again(
    ray_executor: Executor, tmp_path: Path
) -> None:
    found = collect(ray_executor, "0.1", "kill once", "0.2")
    again = found["1-kill-once"]
    assert isinstance(again.outcome, Report)
    assert again.attempts == 2
    assert len((tmp_path / "1-kill-once").read_text()) == 2
    assert len((tmp_path / "0-0.1").read_text()) == 1, "a finished candidate ran again"


@pytest.mark.ray
def test_a_candidate_that_always_kills_its_worker_fails_and_the_others_go_on(
    ray_executor: Executor,
) -> None:
    collect(ray_executor, "0.5")  # the workers have proved themselves
    found = collect(ray_executor, "kill", "0.1", "raise")
    for key in ("0-kill", "2-raise"):
        outcome = found[key].outcome
        assert isinstance(outcome, Failure)
        assert outcome.cause == "infrastructure"
        assert found[key].attempts == 2
    assert isinstance(found["1-0.1"].outcome, Report)


@pytest.mark.ray
def test_workers_that_never_come_up_stop_the_search_with_the_reason(
    ray_here: Any, tmp_path: Path
) -> None:
    from evomerge.cluster.ray import RayExecutor

    target = "tests.cluster.performers:BrokenStart"
    executor = RayExecutor(
        RayConfig(workers=1, max_attempts=9), target, Script(folder=str(tmp_path))
    )
    with pytest.raises(InfrastructureError, match="no such engine"):
        collect(executor, "0.1")
    executor.close()


@pytest.mark.ray
def test_a_cluster_that_cannot_hold_a_worker_is_refused(ray_here: Any, tmp_path: Path) -> None:
    from evomerge.cluster.ray import RayExecutor

    with pytest.raises(ConfigError, match="a worker needs 99 CPU, this machine has 2"):
        RayExecutor(RayConfig(cpus_per_worker=99), TARGET, Script(folder=str(tmp_path)))


@pytest.mark.ray
@pytest.mark.slow
def test_a_worker_that_takes_too_long_is_replaced(ray_here: Any, tmp_path: Path) -> None:
    from evomerge.cluster.ray import RayExecutor

    cluster = RayConfig(workers=1, max_attempts=1, candidate_timeout_s=4)
    executor = RayExecutor(cluster, TARGET, Script(folder=str(tmp_path)))
    collect(executor, "0.5")
    found = collect(executor, "sleep", "0.1")
    assert isinstance(found["0-sleep"].outcome, Failure)
    assert "took longer than 4 s" in found["0-sleep"].outcome.message
    assert isinstance(found["1-0.1"].outcome, Report)
    executor.close()
