"""What a candidate costs the driver, and whether that grows with the number of candidates.

    python benchmarks/driver.py [--upto 100000 10000] [--waiting 1000]
    python benchmarks/driver.py --upto 10000 --genes 200 --optimizer asynchronous

The real loop, study folder and journal; an executor that answers at once, ten genes unless there
are to be more, and an optimizer that asks at random, or CMA-ES (`plain`, `asynchronous`), so that
is measured is the driver's own work, for the candidates up to each mark: CPU milliseconds of this
process in Python (`user`) and in the kernel (`system`),
and those of the clock, in which the time is that a disk takes to make a record durable, or that
others have the CPU. Then the study is opened and the search resumed, as after a crash. Each number
of objectives has a process of its own, so that its memory can be told. Beside it, in the same run,
the bare record: Optuna's journal, a trial made and closed with as many parameters, which is made
durable twice. With `--waiting N` there are two stages, and so many candidates wait for each other
between them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial
from published import write
from sleeping import Weights

from evomerge.cluster.base import Task, TaskResult, WorkerStatus
from evomerge.config import Budget
from evomerge.evaluators.base import Outcome, Report, TaskScore
from evomerge.evaluators.objective import Objective
from evomerge.optimizers.registry import configure, make
from evomerge.searching.loop import Search
from evomerge.searching.schedule import Decision, Finished, Paused, Stage
from evomerge.study.candidate import Candidate
from evomerge.study.record import Study

GENES = 10
OPTIMIZERS: Mapping[str, Mapping[str, Any]] = {
    "random": {"kind": "random"},
    "plain": {"kind": "cma_es"},
    "asynchronous": {"kind": "cma_es", "asynchronous": True},
}
MARKS = (100, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)


@dataclass(frozen=True)
class Mark:
    """What was spent when so many candidates were asked, in seconds."""

    candidates: int
    user_s: float
    system_s: float
    clock_s: float

    @classmethod
    def now(cls, candidates: int) -> Mark:
        """What this process has spent by now."""
        spent = os.times()
        return cls(candidates, spent.user, spent.system, time.perf_counter())

    def until(self, later: Mark) -> dict[str, float]:
        """Milliseconds a candidate."""
        each = 1000 / (later.candidates - self.candidates)
        return {
            "candidates": later.candidates,
            "user_ms": each * (later.user_s - self.user_s),
            "system_ms": each * (later.system_s - self.system_s),
            "clock_ms": each * (later.clock_s - self.clock_s),
        }


class Waiting:
    """Half of the examples, then all, for which so many candidates wait until each has its half."""

    remembers = True

    def __init__(self, together: int) -> None:
        self._together, self._there = together, set[int]()

    def next(self, candidate: Candidate, so_far: Outcome | None) -> Decision:
        """See `Schedule`."""
        number = candidate.number
        if not isinstance(so_far, Report):
            return Stage(examples={"one": (0,), "two": (0,)})
        if so_far.places is None:
            return Finished()
        self._there.add(number)
        last = number - number % self._together + self._together - 1
        if not all(other in self._there for other in (last - 1, last)):
            return Paused()
        return Stage(examples={"one": (1,), "two": (1,)})


class AtOnce:
    """An executor of two workers that are done when they are asked."""

    def __init__(self, marks: list[Mark]) -> None:
        self._done: deque[TaskResult] = deque()
        self._count, self._marks = 0, marks

    @property
    def where(self) -> str:
        """For a person."""
        return "nowhere"

    @property
    def free(self) -> int:
        """Two less what waits to be fetched."""
        return 2 - len(self._done)

    def submit(self, task: Task) -> None:
        """Score a recipe by the task's name: a digest is workers' work."""
        number = zlib.crc32(task.id.encode())
        scores = {"one": number % 1000 / 1000, "two": number // 1000 % 1000 / 1000}
        there = (0, 1) if task.examples is None else task.examples["one"]
        tasks = {
            name: TaskScore(metric="exact", value=value, examples=(value,) * len(there))
            for name, value in scores.items()
        }
        report = Report(split=task.split, tasks=tasks, places=task.examples)
        self._done.append(TaskResult(task.id, report, "w", 1))
        if 0 in there:
            self._count += 1
            if self._count in MARKS:
                self._marks.append(Mark.now(self._count))

    def wait(self, timeout_s: float) -> list[TaskResult]:
        """All that is done."""
        done = list(self._done)
        self._done.clear()
        return done

    def workers(self) -> list[WorkerStatus]:
        """Two idle ones."""
        return [WorkerStatus(str(n), "idle", "here", None, 0.0, 0) for n in (0, 1)]

    def waiting_for(self) -> str | None:
        """Nothing."""
        return None

    def cancel(self, id_: str) -> None:
        """Nothing waits."""

    def drain(self) -> None:
        """Nothing is under way."""

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True)
class Setting:
    """What is searched, and how."""

    candidates: int
    objectives: int
    waiting: int
    genes: int
    optimizer: str


def search(study: Study, setting: Setting, marks: list[Mark]) -> None:
    """Search, or go on, to so many candidates."""
    space, objectives, waiting = Weights(setting.genes), setting.objectives, setting.waiting
    settings = configure(OPTIMIZERS[setting.optimizer], origin="benchmark")
    Search(
        study,
        space,  # type: ignore[arg-type]
        make(settings, space.genes, seed=1, objectives=objectives, workers=2),
        AtOnce(marks),
        Objective({"one": 1.0}) if objectives == 1 else PerTask(),  # type: ignore[arg-type]
        evaluator="e" * 64,
        budget=Budget(candidates=setting.candidates),
        landmarks={},
        schedule=Waiting(waiting) if waiting else None,
        sizes={"one": 2, "two": 2},
    ).run()


class PerTask:
    """Each task an objective."""

    names = ("one", "two")

    def __call__(self, report: Report) -> tuple[float, ...]:
        """The tasks' values."""
        return tuple(report.tasks[name].value for name in self.names)


def curve(setting: Setting, folder: Path) -> dict[str, Any]:
    """What a candidate costs up to each mark, and what a resume does."""
    names = ("fitness",) if setting.objectives == 1 else PerTask.names
    marks = [Mark.now(0)]
    memory_before = _memory()
    genes = Weights(setting.genes).genes
    study = Study.create(folder, name="driver", job={}, genes=genes, objectives=names)
    with study:
        search(study, setting, marks)
    memory = _memory() - memory_before
    rows = [before.until(after) for before, after in pairwise(marks)]
    with _cpu() as resumed, Study.open(folder, write=True) as study:
        search(study, setting, [])
    return {
        "objectives": setting.objectives,
        "genes": setting.genes,
        "optimizer": setting.optimizer,
        "rows": rows,
        "resume_s": resumed[0],
        "candidates": setting.candidates,
        "bytes_per_candidate": memory / setting.candidates,
        "journal_bytes_per_candidate": (folder / "journal.log").stat().st_size / setting.candidates,
    }


def bare_record(candidates: int, journal: Path) -> dict[str, float]:
    """What a trial of Optuna's journal costs, made and closed."""
    storage = JournalStorage(JournalFileBackend(str(journal)))
    study = storage.create_new_study([StudyDirection.MAXIMIZE], "bare")
    genes: dict[str, BaseDistribution] = {
        f"weight.{n}": FloatDistribution(0.0, 1.0) for n in range(GENES)
    }
    before = Mark.now(0)
    for _ in range(candidates):
        running = create_trial(
            state=TrialState.RUNNING, params=dict.fromkeys(genes, 0.5), distributions=genes
        )
        trial = storage.create_new_trial(study, template_trial=running)
        storage.set_trial_state_values(trial, TrialState.COMPLETE, (0.5,))
    return before.until(Mark.now(candidates))


def _said(row: dict[str, float]) -> str:
    cpu_ms = row["user_ms"] + row["system_ms"]
    return (
        f"{cpu_ms:6.2f} ms of CPU ({row['user_ms']:.2f} user, {row['system_ms']:.2f} system),"
        f" {row['clock_ms']:6.2f} ms by the clock,"
    )


@contextmanager
def _cpu() -> Iterator[list[float]]:
    spent: list[float] = []
    start = time.process_time()
    yield spent
    spent.append(time.process_time() - start)


def _memory() -> int:
    """The most that this process had resident, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--upto", type=int, nargs="+", default=[100_000, 10_000], help="with one objective, two"
    )
    parser.add_argument(
        "--waiting", type=int, default=0, help="two stages, between which so many wait"
    )
    parser.add_argument("--genes", type=int, default=GENES)
    parser.add_argument("--optimizer", choices=list(OPTIMIZERS), default="random")
    parser.add_argument("--write", action="store_true", help="keep the figures under results/")
    given = parser.parse_args()
    results: dict[str, Any] = {"curves": []}
    with tempfile.TemporaryDirectory() as folder:
        results["bare"] = bare_record(2000, Path(folder) / "bare.log")
        print(f"Optuna's journal alone: {_said(results['bare'])} a trial")
        for objectives, upto in enumerate(given.upto, 1):
            with multiprocessing.get_context("spawn").Pool(1) as own:
                place = Path(folder) / f"study-{objectives}"
                setting = Setting(upto, objectives, given.waiting, given.genes, given.optimizer)
                measured = own.apply(curve, (setting, place))
            results["curves"].append(measured)
            print(f"{objectives} objective(s)")
            for row in measured["rows"]:
                print(f"  up to {row['candidates']:>7,}: {_said(row)} a candidate")
            print(f"  resumed in {measured['resume_s']:.1f} s of CPU", end="; ")
            print(f"{measured['bytes_per_candidate'] / 1000:.1f} kB of memory a candidate")
    if given.write:
        write("driver" if given.genes == GENES else f"driver-{given.genes}", results)


if __name__ == "__main__":
    main()
