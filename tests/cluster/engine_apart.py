"""A worker whose engine is a process of its own, as vLLM's are, and that notes what it does.

Scores as `tests.sphere` does. Two kinds of recipes are bad, by their digest: one crashes the engine
each time, the other never comes to an end.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Literal

from evomerge.cluster.base import Task, overrun
from evomerge.evaluators.base import Outcome
from evomerge.recipe.digest import digest
from evomerge.recipe.tree import Recipe
from evomerge.value import Value
from tests.sphere import Sphere
from tests.sphere import Worker as SphereWorker

__all__ = ["EngineApart", "Undisturbed", "Worker", "fault", "note"]

ENGINE = """
import os, sys, time
for line in sys.stdin:
    seconds, is_bad = line.split()
    time.sleep(float(seconds))
    if is_bad == "1":
        os.abort()
    print("done", flush=True)
"""
"""Ends with its worker: then its standard input does."""


class EngineApart(Value):
    """How long an evaluation takes, where it is noted, and how rare bad recipes are."""

    notes: str
    """A file; each note is a line `WHAT ID MACHINE`."""
    seconds: float = 0.5
    one_in: int = 0
    """So rare are recipes that crash, and as rare those that hang; 0: there are none."""


def fault(recipe: Recipe, one_in: int) -> Literal["crash", "hang"] | None:
    """What evaluating this recipe comes to each time; None: a score."""
    if not one_in:
        return None
    kinds: dict[int, Literal["crash", "hang"]] = {0: "crash", 1: "hang"}
    return kinds.get(int(digest(recipe)[:12], 16) % one_in)


def note(notes: str | Path, what: str, id_: str) -> None:
    """Add a line to the notes, to which all processes add; a machine is its network namespace."""
    machine = Path("/proc/self/ns/net").stat().st_ino
    with Path(notes).open("a") as file:
        file.write(f"{what} {id_} {machine}\n")


class Worker:
    """Waits for its engine, then scores."""

    def __init__(self, config: EngineApart) -> None:
        self._config = config
        self._scorer = SphereWorker(Sphere())
        self._engine: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", ENGINE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def perform(self, task: Task) -> Outcome:
        note(self._config.notes, "begin", task.id)
        bad = fault(task.recipe, self._config.one_in)
        if bad == "hang":
            time.sleep(3600)
        self._ask(f"{self._config.seconds} {int(bad == 'crash')}\n")
        outcome = self._scorer.perform(task)
        note(self._config.notes, "end", task.id)
        return outcome

    def _ask(self, line: str) -> None:
        questions, answers = self._engine.stdin, self._engine.stdout
        assert questions is not None
        assert answers is not None
        _write(questions, line)
        if not answers.readline():
            raise RuntimeError("the engine's process has died")


def _write(questions: IO[str], line: str) -> None:
    try:
        questions.write(line)
        questions.flush()
    except BrokenPipeError:
        raise RuntimeError("the engine's process has died") from None


class Undisturbed:
    """What `Worker` comes to in the end where nothing else is wrong, at once."""

    def __init__(self, config: EngineApart) -> None:
        self._one_in = config.one_in
        self._scorer = SphereWorker(Sphere())

    def perform(self, task: Task) -> Outcome:
        match fault(task.recipe, self._one_in):
            case "crash":
                raise RuntimeError("the engine's process has died")
            case "hang":
                return overrun(task.deadline_s or 0.0)
            case None:
                return self._scorer.perform(task)
