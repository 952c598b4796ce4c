"""Performers for executor tests: they live in worker processes, so they are importable here."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from evomerge.cluster.base import Task
from evomerge.evaluators.base import Failure, Outcome, Report, TaskScore
from evomerge.recipe.source import Source
from evomerge.value import Value

__all__ = ["BrokenStart", "Script", "Scripted"]


class Script(Value):
    """Where scripted workers leave marks, so that a test can count what they did."""

    folder: str


class Scripted:
    """Does what the recipe's model name says: a number is a score, a word is a fault."""

    def __init__(self, script: Script) -> None:
        self._folder = Path(script.folder)

    def perform(self, task: Task) -> Outcome:
        assert isinstance(task.recipe, Source)
        what = task.recipe.model
        tries = self._mark(task.id)
        match what:
            case "failure":
                return Failure(cause="candidate", message="not finite")
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "kill once" if tries == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            case "raise":
                raise RuntimeError("out of memory")
            case "sleep":
                time.sleep(60)
        value = float(what) if what[0].isdigit() else 1.0
        score = TaskScore(metric="m", value=value, examples=(value,))
        return Report(split=task.split, tasks={"t": score})

    def _mark(self, id_: str) -> int:
        """Note that a candidate was begun; how often it has been by now."""
        with (self._folder / id_).open("a") as file:
            file.write("x")
        return len((self._folder / id_).read_text())


class BrokenStart:
    """A worker that never comes up."""

    def __init__(self, script: Script) -> None:
        raise ValueError("no such engine")

    def perform(self, task: Task) -> Outcome:
        raise AssertionError
