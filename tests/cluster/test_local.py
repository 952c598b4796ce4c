"""The executor in this process: what its worker cannot do, and what ends with the process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evomerge.cluster.base import Task
from evomerge.errors import ConfigError, InfrastructureError
from evomerge.recipe.source import Source
from tests.cluster.conftest import Make
from tests.cluster.driving import collect, failure, submit, until, value


def test_what_the_user_wants_and_is_not_there_is_said_as_such(in_process: Make) -> None:
    executor = in_process(script={"wanted": "the engine"})
    with pytest.raises(ConfigError, match=r"^the engine is not installed$"):
        collect(executor, "0.1")


def test_a_worker_that_cannot_be_made_is_no_bug_of_the_search(in_process: Make) -> None:
    executor = in_process(script={"seats": 0})
    with pytest.raises(InfrastructureError, match="does not come up: ValueError: no seat left"):
        collect(executor, "0.1")


def test_a_failure_knows_the_class_of_its_error(in_process: Make) -> None:
    result = collect(in_process(max_attempts=2), "raise")["0"]
    assert failure(result) == ("infrastructure", "RuntimeError: out of memory")
    assert result.attempts == 2


def test_an_evaluation_that_hangs_fails_at_its_deadline_and_costs_the_worker(
    in_process: Make, tmp_path: Path
) -> None:
    executor = in_process(grace_s=0.01)
    results: dict[str, Any] = {}
    submit(executor, "0", "hang", deadline_s=0.01)
    submit(executor, "1", "0.1")
    until(executor, lambda: len(results) == 2, results)
    assert failure(results["0"]) == (
        "candidate",
        "its evaluation took longer than its deadline, 0.01 s",
    )
    assert results["0"].attempts == 1
    assert value(results["1"]) == 0.1
    assert (tmp_path / "starts").read_text() == "xx", "what was interrupted is not used again"


def test_a_candidate_that_processes_did_not_survive_is_given_up(
    in_process: Make, tmp_path: Path
) -> None:
    executor = in_process(max_attempts=2)
    for begun in (1, 2):
        executor.submit(Task(str(begun), Source(model="0.1"), "search", begun=begun))
    results: dict[str, Any] = {}
    until(executor, lambda: len(results) == 2, results)
    assert (value(results["1"]), results["1"].attempts) == (0.1, 1)
    cause, message = failure(results["2"])
    assert (cause, results["2"].attempts) == ("infrastructure", 0)
    assert message.startswith("the process ended 2 times at its evaluation")
    assert not (tmp_path / "2").exists()
