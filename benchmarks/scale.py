"""How much of its workers' time a search uses, from 1 to 256 of them, on this machine's Ray.

    python benchmarks/scale.py [--workers 64] [--arms random asynchronous plain] [--write]

The real driver: loop, study and journal on a disk, pool of workers, Ray; recipes of 200 weights and
reports of 500 examples. Workers sleep instead of evaluating, for lengths that are log-normal with a
mean of 30 s, and several of them are threads of one process. Of each search, for so many minutes
from the moment at which every worker had work:

- the share of the workers' time in which they evaluated;
- CPU milliseconds of the driver's process for a candidate, with Ray's threads in it;
- bytes of a task and of its report as they are sent, and what went over this machine's loopback in
  all, Ray's own talk included (in a network namespace of its own, where `unshare` is allowed);
- how much the driver's memory grew.

What the driver itself costs for a candidate, up to 10,000 and beyond, is `driver.py --genes 200`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import ray.cloudpickle
from published import write
from sleeping import Sleep, Weights

from evomerge.cluster.base import Task, TaskResult
from evomerge.cluster.config import RayConfig
from evomerge.cluster.pool import WorkerPool
from evomerge.cluster.ray import RayActor, RayActors
from evomerge.config import Budget
from evomerge.evaluators.base import Report
from evomerge.evaluators.objective import Objective
from evomerge.optimizers.registry import configure, make
from evomerge.searching.loop import Search
from evomerge.study.record import Study

GENES = 200
ARMS: Mapping[str, Mapping[str, Any]] = {
    "random": {"kind": "random"},
    "asynchronous": {"kind": "cma_es", "asynchronous": True},
    "plain": {"kind": "cma_es"},
    "plain, a generation of all workers": {"kind": "cma_es"},
}


class SharedProcesses(RayActors):
    """Ray's actors, each of which is several of the pool's."""

    def __init__(self, config: RayConfig, target: str, worker: Sleep, per_process: int) -> None:
        super().__init__(config, target, worker)
        self._per_process = per_process
        self._made = 0

    def options(self, kind: int) -> dict[str, Any]:
        """A process performs as many tasks at once as it is workers."""
        return super().options(kind) | {"max_concurrency": self._per_process}

    def make(self, worker: str, kind: int) -> RayActor:
        """The last process, while it has room."""
        if self._made % self._per_process == 0:
            self._actor = super().make(worker, kind)
        self._made += 1
        return self._actor


@dataclass(frozen=True)
class Spent:
    """What had been spent by then."""

    candidates: int
    """Submitted."""
    at: float
    cpu_s: float
    loopback_bytes: int
    memory_bytes: int

    @classmethod
    def now(cls, candidates: int) -> Spent:
        """By this process, and on this machine's loopback."""
        cpu_s = time.process_time()
        return cls(candidates, time.time(), cpu_s, _loopback_bytes(), _resident_bytes())


class Watched(WorkerPool):
    """The pool, which begins when every worker is up, and notes what passes."""

    def __init__(self, config: RayConfig, actors: SharedProcesses) -> None:
        super().__init__(config, actors)
        self._workers = len(self.workers())
        self._task_bytes: list[int] = []
        self._report_bytes: list[int] = []
        self._evaluations: list[tuple[float, float]] = []
        """When each began and ended."""
        self.full: Spent | None = None
        """What had been spent when every worker had work for the first time."""

    @property
    def free(self) -> int:
        """None before every worker is up."""
        if not self._task_bytes and any(w.state != "idle" for w in self.workers()):
            return 0
        return super().free

    def submit(self, task: Task) -> None:
        """Pass it on, and weigh it."""
        super().submit(task)
        self._task_bytes.append(len(ray.cloudpickle.dumps(task)))
        if self.full is None and super().free == 0:
            self.full = Spent.now(len(self._task_bytes))

    def wait(self, timeout_s: float) -> list[TaskResult]:
        """Weigh what comes."""
        results = super().wait(timeout_s)
        for result in results:
            assert isinstance(result.outcome, Report), result.outcome
            self._report_bytes.append(len(ray.cloudpickle.dumps(result.outcome)))
            began, took_s = (result.outcome.seconds[name] for name in ("began", "evaluate"))
            self._evaluations.append((began, began + took_s))
        return results

    def spent(self) -> Spent:
        """By now."""
        return Spent.now(len(self._task_bytes))

    def between(self, first: Spent, last: Spent) -> dict[str, float]:
        """What is measured, once all evaluations are back."""
        window_s, candidates = last.at - first.at, last.candidates - first.candidates
        parts = (min(e, last.at) - max(b, first.at) for b, e in self._evaluations)
        work_s = sum(part for part in parts if part > 0)
        return {
            "seconds": window_s,
            "candidates": candidates,
            "useful": work_s / (window_s * self._workers),
            "driver_cpu_ms": 1000 * (last.cpu_s - first.cpu_s) / max(candidates, 1),
            "task_bytes": max(self._task_bytes),
            "report_bytes": max(self._report_bytes),
            "loopback_bytes": (last.loopback_bytes - first.loopback_bytes) / max(candidates, 1),
            "memory_bytes": last.memory_bytes - first.memory_bytes,
        }


@dataclass(frozen=True)
class Setting:
    """Of one search."""

    arm: str
    workers: int
    mean_s: float
    minutes: float
    per_process: int
    address: str | None
    """Of a Ray that runs already, with this folder on its path; None: one is started here."""


def search(given: Setting) -> dict[str, Any]:
    """One search, and what was measured of it."""
    arm, workers = given.arm, given.workers
    settings = dict(ARMS[arm])
    if arm.endswith("a generation of all workers"):
        settings["popsize"] = max(workers, 3)  # pycma takes no fewer
    space = Weights(GENES)
    optimizer = make(configure(settings, origin="benchmark"), space.genes, seed=1, workers=workers)
    config = RayConfig(
        address=given.address, workers=workers, cpus_per_worker=0.001, dashboard=False
    )
    here = str(Path(__file__).parent)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    sleep = Sleep(mean_s=given.mean_s)
    actors = SharedProcesses(config, "sleeping:Sleeper", sleep, given.per_process)
    pool = Watched(config, actors)
    last: list[Spent] = []

    def stop() -> str | None:
        if not last and pool.full and time.time() > pool.full.at + 60 * given.minutes:
            last.append(pool.spent())
        return "the time is over" if last else None

    with tempfile.TemporaryDirectory() as folder, _closed(pool):
        study = Study.create(
            Path(folder) / "study", name="scale", job={}, genes=space.genes, objectives=("fitness",)
        )
        with study:
            Search(
                study,
                space,  # type: ignore[arg-type]
                optimizer,
                pool,
                Objective({"one": 1.0}),
                evaluator="e" * 64,
                budget=Budget(candidates=1_000_000),
                landmarks={},
                sizes={"one": sleep.examples},
                stop=stop,
            ).run()
        assert pool.full is not None
        measured = pool.between(pool.full, last[0])
    return {"arm": arm, "workers": workers, "mean_s": given.mean_s, **measured}


@contextmanager
def _closed(pool: WorkerPool) -> Iterator[None]:
    try:
        yield
    finally:
        pool.close()


def _loopback_bytes() -> int:
    """Sent over this machine's loopback so far."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == "lo":
            return int(numbers.split()[8])
    return 0


def _resident_bytes() -> int:
    """That this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _said(row: Mapping[str, Any]) -> str:
    return (
        f"{row['workers']:4} workers, {row['arm']}: {100 * row['useful']:5.1f} % useful,"
        f" {row['candidates']:.0f} candidates in {row['seconds']:.0f} s,"
        f" {row['driver_cpu_ms']:.1f} ms of the driver's CPU each,"
        f" {row['task_bytes'] / 1000:.0f} + {row['report_bytes'] / 1000:.0f} kB"
        f" ({row['loopback_bytes'] / 1000:.0f} kB on the loopback),"
        f" memory {row['memory_bytes'] / 1e6:+.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16, 64, 256])
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--mean", type=float, default=30.0, help="seconds of an evaluation")
    parser.add_argument("--minutes", type=float, default=15.0, help="of each search")
    parser.add_argument("--per-process", type=int, default=16, help="workers that share a process")
    parser.add_argument("--address", help="a Ray that runs already, with this folder on its path")
    parser.add_argument("--write", action="store_true", help="keep the figures under results/")
    given = parser.parse_args()
    rows = []
    for workers, arm in product(given.workers, given.arms):
        with get_context("spawn").Pool(1) as own:
            setting = Setting(
                arm, workers, given.mean, given.minutes, given.per_process, given.address
            )
            row = own.apply(search, (setting,))
        rows.append(row)
        print(_said(row), flush=True)
    if given.write:
        write("scale", {"genes": GENES, "rows": rows})


if __name__ == "__main__":
    main()
