"""Workers that merge, load and score models."""

from __future__ import annotations

import pytest

from evomerge.cluster.base import Task
from evomerge.cluster.config import InProcessConfig
from evomerge.cluster.model_executor import model_executor
from evomerge.engines.config import EngineConfig
from evomerge.errors import SourceError
from evomerge.recipe.source import Source
from tests.cluster.test_config import worker


def test_nothing_is_loaded_before_the_first_task() -> None:
    nowhere = Source(model="/nowhere/at/all")
    made = model_executor(
        InProcessConfig(max_attempts=1), EngineConfig(), worker().evaluator, nowhere
    )
    assert made.free == 1
    made.submit(Task("a", nowhere, "search"))
    with pytest.raises(SourceError, match="/nowhere/at/all: no such model folder"):
        made.wait(0)
    made.close()
