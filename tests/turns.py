"""Which tests one process runs where several share them: a plugin for pytest-xdist.

python -m pytest -p tests.turns --numprocesses 3 --dist loadfile --no-loadscope-reorder
"""

from __future__ import annotations

import ast
import gc
import os
import re
import sys
from collections.abc import Container
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

HAS_GPU = any(Path("/dev").glob("nvidia[0-9]*"))
TURNS = re.compile(rf"pytest\.mark\.({'gpu|' if HAS_GPU else ''}ray|vllm)\b")
"""Marks of tests that each take a whole machine: at no time do two of them run."""
GIVES_WAY = 5
"""How nice the other processes are: what takes turns takes longest, and ends last otherwise."""
FIRST = pytest.StashKey[str]()
"""The test with which a process began."""


class Everything(Container[str]):
    """Of a file whose tests all take turns."""

    def __contains__(self, name: object) -> bool:
        return True


@cache
def in_turns(file: Path) -> Container[str]:
    """The tests of a file that take turns: all of them where a mark is no test's own."""
    text = file.read_text()
    if not TURNS.search(text):
        return ()
    marked = [part for part in ast.parse(text).body if TURNS.search(ast.unparse(part))]
    own = {
        part.name
        for part in marked
        if isinstance(part, ast.FunctionDef)
        and any(TURNS.search(ast.unparse(decorator)) for decorator in part.decorator_list)
    }
    return own if len(own) == len(marked) else Everything()


def takes_turns(root: Path, nodeid: str) -> bool:
    """Whether a test is one of those. `root`: what its id's path starts from."""
    file, _, name = nodeid.partition("::")
    return name.partition("[")[0] in in_turns(root / file)


class Scheduling(LoadFileScheduling):
    """A file's tests stay together, but for those that take turns: they all stay together."""

    def _split_scope(self, nodeid: str) -> str:
        return "turns" if takes_turns(self.config.rootpath, nodeid) else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling | None:
    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_configure(config: pytest.Config) -> None:
    """Ray's workers, of a niceness of 15 else, do not wait for the tests beside them."""
    if hasattr(config, "workerinput"):
        os.environ.setdefault("RAY_worker_niceness", "0")


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Each process imports its share of the files first and leaves their bytecode, with assertions
    as pytest has them, to the others: all are going to import all of them, and compiling takes half
    of that time. What cannot be imported is told when the tests are collected."""
    if (worker := getattr(session.config, "workerinput", None)) is None:
        return
    gc.disable()
    root, folders = session.config.rootpath, session.config.getini("testpaths")
    files = sorted(file for folder in folders for file in (root / folder).rglob("test_*.py"))
    number, processes = int(worker["workerid"].removeprefix("gw")), worker["workercount"]
    keeps, sys.dont_write_bytecode = sys.dont_write_bytecode, False
    for file in files[number::processes]:
        with suppress(Exception, pytest.skip.Exception):
            import_module(".".join(file.relative_to(root).with_suffix("").parts))
    sys.dont_write_bytecode = keeps


def pytest_collection_finish() -> None:
    """What was collected is there to the end: no search for garbage goes through it again."""
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """The process that begins with what takes turns has the cores first; the others give way."""
    if hasattr(item.config, "workerinput") and FIRST not in item.config.stash:
        item.config.stash[FIRST] = item.nodeid
        if not takes_turns(item.config.rootpath, item.nodeid):
            os.nice(GIVES_WAY)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes longest comes first: those that take turns, and then files with slow tests, so
    that in the end no process is left alone with one."""
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("slow")}

        def place(item: pytest.Item) -> tuple[bool, bool]:
            return not takes_turns(config.rootpath, item.nodeid), item.path not in slow

        items.sort(key=place)
