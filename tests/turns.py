"""Which tests one process runs where several share them: a plugin for pytest-xdist.

python -m pytest -p tests.turns --numprocesses 2 --dist loadfile --no-loadscope-reorder
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

TURNS = re.compile(r"pytest\.mark\.(gpu|ray|vllm)\b")
"""Marks of tests that each take a whole machine: at no time do two of them run."""


@cache
def takes_turns(file: Path) -> bool:
    return TURNS.search(file.read_text()) is not None


class Scheduling(LoadFileScheduling):
    """A file's tests stay together, and so do all files with tests that take turns."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "turns" if takes_turns(self.config.rootpath / file) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling | None:
    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The files that take turns come first: together they are what takes longest."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not takes_turns(item.path))
