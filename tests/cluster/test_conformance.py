"""What every executor does."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from evomerge.cluster.base import Executor, Task
from evomerge.recipe.source import Source
from tests.cluster.conftest import Make
from tests.cluster.driving import collect, failure, submit, until, value

KINDS = ["in_process", pytest.param("on_ray", marks=pytest.mark.ray)]


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Make:
    made: Make = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def executor(make: Make) -> Executor:
    return make(workers=1, max_attempts=2)


def states(executor: Executor) -> list[str]:
    return [worker.state for worker in executor.workers()]


def is_free(executor: Executor) -> bool:
    return executor.free > 0


def test_results_by_id(make: Make) -> None:
    results = collect(make(workers=2), "0.1", "0.2", "failure", "0.4")
    assert failure(results.pop("2")) == ("candidate", "not finite")
    assert {id_: value(result) for id_, result in results.items()} == {"0": 0.1, "1": 0.2, "3": 0.4}
    assert all("pid" in result.worker for result in results.values())
    assert all(result.attempts == 1 for result in results.values())


def test_a_worker_that_breaks_is_tried_again_and_then_told(
    executor: Executor, tmp_path: Path
) -> None:
    results = collect(executor, "raise", "0.1")
    cause, message = failure(results["0"])
    assert cause == "infrastructure"
    assert "out of memory" in message
    assert results["0"].attempts == 2
    assert (tmp_path / "0").read_text() == "xx"
    assert value(results["1"]) == 0.1


def test_it_says_how_many_tasks_would_find_a_worker(executor: Executor) -> None:
    until(executor, lambda: executor.free == 1)
    submit(executor, "a", "0.1")
    assert executor.free == 0
    results: dict[str, Any] = {}
    until(executor, lambda: "a" in results, results)
    until(executor, lambda: executor.free == 1)
    assert executor.wait(0) == []


def test_a_deadline_reaches_the_worker_and_is_counted_as_the_candidates(make: Make) -> None:
    executor = make(workers=1, candidate_timeout_s=50)
    results: dict[str, Any] = {}
    submit(executor, "own", "obey", deadline_s=40)
    submit(executor, "shared", "obey")
    until(executor, lambda: len(results) == 2, results)
    law = "its evaluation took longer than its deadline"
    assert failure(results["own"]) == ("candidate", f"{law}, 40 s")
    assert failure(results["shared"]) == ("candidate", f"{law}, 50 s")
    assert results["own"].attempts == 1


def test_what_is_cancelled_before_it_began_is_not_performed(
    executor: Executor, tmp_path: Path
) -> None:
    for id_ in ("first", "second", "third"):
        submit(executor, id_, "0.1")
    executor.cancel("third")
    executor.cancel("unknown")
    results: dict[str, Any] = {}
    until(executor, lambda: len(results) == 2, results)
    until(executor, lambda: is_free(executor), results)
    assert sorted(results) == ["first", "second"]
    assert not (tmp_path / "third").exists()


def test_a_cancelled_id_may_be_submitted_again(executor: Executor) -> None:
    submit(executor, "a", "0.1")
    submit(executor, "b", "0.2")
    executor.cancel("b")
    submit(executor, "b", "0.3")
    results: dict[str, Any] = {}
    until(executor, lambda: len(results) == 2, results)
    assert value(results["b"]) == 0.3


def test_draining_finishes_what_was_submitted_and_takes_no_more(executor: Executor) -> None:
    submit(executor, "a", "0.1")
    submit(executor, "b", "0.2")
    executor.drain()
    assert executor.free == 0
    with pytest.raises(RuntimeError, match="takes no more tasks"):
        submit(executor, "c", "0.3")
    results: dict[str, Any] = {}
    until(executor, lambda: len(results) == 2, results)
    assert not {"idle", "busy"} & set(states(executor))
    assert executor.wait(0) == []


def test_a_worker_has_a_status(executor: Executor) -> None:
    until(executor, lambda: is_free(executor))
    collect(executor, "0.1")
    (worker,) = executor.workers()
    assert (worker.state, worker.task, worker.restarts) == ("idle", None, 0)
    assert worker.where is not None
    assert "pid" in worker.where
    assert worker.seconds >= 0


def test_tasks_cross_processes_as_configuration() -> None:
    task = Task("1", Source(model="x", adapter="y"), "search", {"t": (0, 2)}, 5.0)
    assert pickle.loads(pickle.dumps(task)) == task
