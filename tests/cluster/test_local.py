"""The executor in this process, where its worker cannot be made; the rest is in the suite."""

from __future__ import annotations

import pytest

from evomerge.errors import ConfigError, InfrastructureError
from tests.cluster.conftest import Make
from tests.cluster.driving import collect, failure


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
