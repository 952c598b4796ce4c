"""The registries whose entries the command line lists and completes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evomerge.cluster.registry import EXECUTORS
from evomerge.config import SCHEDULES
from evomerge.engines.factory import ENGINES
from evomerge.evaluators.registry import EVALUATORS
from evomerge.operators import OPERATORS
from evomerge.optimizers.registry import OPTIMIZERS
from evomerge.plugins import Registry
from evomerge.search_spaces.registry import SPACES

__all__ = ["ROLES"]

ROLES: Mapping[str, Registry[Any]] = {
    "operators": OPERATORS,
    "optimizers": OPTIMIZERS,
    "evaluator_kinds": EVALUATORS,
    "search_space_kinds": SPACES,
    "engines": ENGINES,
    "executors": EXECUTORS,
    "schedules": SCHEDULES,
}
"""The registries, by what the catalog calls them. The folders of YAML files stand beside them."""
