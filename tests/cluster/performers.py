"""Workers for executor tests: they live in worker processes, so they are importable here."""

from __future__ import annotations

import os
import signal
import time
from importlib import import_module
from pathlib import Path

from evomerge.cluster.base import Task, overrun
from evomerge.errors import ConfigError
from evomerge.evaluators.base import Failure, Outcome, Report, TaskScore
from evomerge.recipe.source import Source
from evomerge.value import Value

__all__ = ["Script", "Scripted"]


class Script(Value):
    """How scripted workers start, and where they leave marks, so that a test can count them."""

    folder: str
    start_s: float = 0.0
    deaths: int = 0
    """So many processes die before they come up."""
    seats: int = 99
    """No more than so many workers ever come up."""
    wanted: str = ""
    """What the user wants that is not there, so that no worker can be made."""


class Scripted:
    """Does what the recipe's model name says: a number is a score, a word is a fault."""

    def __init__(self, script: Script) -> None:
        self._folder = Path(script.folder)
        time.sleep(script.start_s)
        if self._mark("starts") <= script.deaths:
            os.kill(os.getpid(), signal.SIGKILL)
        if script.wanted:
            raise ConfigError(f"{script.wanted} is not installed")
        if self._mark("seats") > script.seats:
            raise ValueError("no seat left")

    def perform(self, task: Task) -> Outcome:
        assert isinstance(task.recipe, Source)
        what = task.recipe.model
        tries = self._mark(task.id)
        match what:
            case "failure":
                return Failure(cause="candidate", message="not finite")
            case "obey":  # an evaluator that looks at the clock
                return overrun(task.deadline_s) if task.deadline_s else _report(task, 1.0)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "kill once" if tries == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            case "raise":
                raise RuntimeError("out of memory")
            case "name":
                title = import_module("ray").get_runtime_context().get_task_name()
                (self._folder / "title").write_text(title)
            case "hang":
                time.sleep(600)
            case "hold":
                while not (self._folder / "go").exists():
                    time.sleep(0.02)
        return _report(task, float(what) if what[0].isdigit() else 1.0)

    def _mark(self, name: str) -> int:
        """Note that something was begun; how often it has been by now."""
        with (self._folder / name).open("a") as file:
            file.write("x")
            return file.tell()


def _report(task: Task, value: float) -> Report:
    score = TaskScore(metric="m", value=value, examples=(value,))
    return Report(split=task.split, tasks={"t": score})
