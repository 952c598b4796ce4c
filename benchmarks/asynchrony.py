"""CMA-ES with and without waiting for a generation's end: by evaluations, and by the hour.

    pip install --target FOLDER --no-deps coco-experiment
    PYTHONPATH=FOLDER python benchmarks/asynchrony.py [--write]

COCO's noiseless functions (bbob; Hansen et al. 2021, "COCO: a platform for comparing continuous
optimizers in a black-box setting") on a simulated clock: so many workers, each evaluation of a
length of its own, log-normal with a mean of 30 s. A worker that is free gets a candidate as soon as
the optimizer has one. What is counted is how many of 21 targets, from 100 to 0.01 above the optimum
in equal ratios, are reached by then; intervals are of 95 %, by a bootstrap over functions.
"""

from __future__ import annotations

import argparse
import heapq
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cocoex
import numpy as np
from numpy.typing import NDArray
from published import earlier, write

from evomerge.optimizers.base import Optimizer, Result
from evomerge.optimizers.registry import configure, make
from evomerge.recipe.genome import FloatGene, Genome

FUNCTIONS = (1, 3, 8, 10, 13, 15, 17, 21)
"""Of each of bbob's five groups one or two: sphere, Rastrigin (separable), Rosenbrock, ellipsoid
(turned), sharp ridge, Rastrigin (turned), Schaffer F7, Gallagher's 101 peaks."""
DIMENSIONS = (10, 20, 40)
INSTANCES = (1, 2)
WORKERS = (16, 64)
PER_DIMENSION = 100
"""Evaluations of a search: so many times the dimension."""
MEAN_S, SKEW = 30.0, 0.7
"""Of an evaluation's length, and the standard deviation of its logarithm: one in a hundred takes
two minutes."""
TARGETS = 10.0 ** np.linspace(2, -2, 21)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Arm:
    """A way to run CMA-ES. `share`: the population, in workers, where that is above its default."""

    name: str
    settings: Mapping[str, Any]
    share: float | None = None

    def optimizer(self, dimension: int, workers: int, seed: int) -> Optimizer:
        """A fresh one."""
        settings = {"kind": "cma_es", **self.settings}
        if self.share is not None:
            settings["popsize"] = max(4 + int(3 * np.log(dimension)), round(self.share * workers))
        genes = [FloatGene(name=f"x{i}", low=-5.0, high=5.0) for i in range(dimension)]
        return make(configure(settings, origin="benchmark"), genes, seed=seed, workers=workers)


ARMS = (
    Arm("plain", {}),
    Arm("plain, a generation of all workers", {}, 1.0),
    Arm("asynchronous", {"asynchronous": True}, 0.25),
)


@dataclass(frozen=True)
class Played:
    """One search: after which evaluation, and which second, each target was reached; and what
    share of the workers' time was work, until the last candidate was asked."""

    evaluations: Array
    seconds: Array
    busy: float


def play(
    optimizer: Optimizer, loss: Callable[[Genome], float], workers: int, budget: int, seed: int
) -> Played:
    """A search of so many evaluations."""
    lengths = np.random.default_rng(seed).lognormal(np.log(MEAN_S) - SKEW**2 / 2, SKEW, budget)
    evaluations, seconds = np.full(len(TARGETS), np.inf), np.full(len(TARGETS), np.inf)
    under_way: list[tuple[float, int, Genome]] = []
    now_s, asked, work_s, best = 0.0, 0, 0.0, np.inf
    for told in count(1):
        while len(under_way) < workers and asked < budget:
            proposals = optimizer.ask(1)
            if not proposals:
                break
            end_s = now_s + lengths[asked]
            heapq.heappush(under_way, (end_s, proposals[0].id, proposals[0].genome))
            asked += 1
            if asked == budget:
                work_s = float(lengths.sum()) - sum(end - now_s for end, _, _ in under_way)
                busy = work_s / (now_s * workers)
        if not under_way:
            return Played(evaluations, seconds, busy)
        now_s, id_, genome = heapq.heappop(under_way)
        value = loss(genome)
        optimizer.tell([Result(id_, (-value,))])
        if value < best:
            best = value
            reached = (best <= TARGETS) & np.isinf(evaluations)
            evaluations[reached], seconds[reached] = told, now_s
    raise AssertionError


class Problem:
    """A function of bbob, as the distance to its optimum's value."""

    def __init__(self, function: int, dimension: int, instance: int) -> None:
        suite = cocoex.Suite(
            "bbob",
            "",
            f"dimensions:{dimension} instance_indices:{instance} function_indices:{function}",
        )
        self._suite, self._problem = suite, suite[0]
        with tempfile.TemporaryDirectory() as folder, _inside(folder):
            self._problem._best_parameter("print")  # COCO has no other way to ask
            (written,) = Path(folder).iterdir()
            self._least = float(self._problem(np.loadtxt(written)))

    def __call__(self, genome: Genome) -> float:
        """How far above the optimum, at a point of [0, 1]^n."""
        return max(0.0, float(self._problem(10 * np.array(genome, dtype=float) - 5)) - self._least)


@contextmanager
def _inside(folder: str) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


Case = tuple[int, int, int, int, int]
"""Function, dimension, instance, workers, arm."""


def run(case: Case) -> tuple[Case, Played]:
    """One search; an instance has a seed of its own."""
    function, dimension, instance, workers, arm = case
    seed = 1000 * function + instance
    optimizer = ARMS[arm].optimizer(dimension, workers, seed)
    loss = Problem(function, dimension, instance)
    return case, play(optimizer, loss, workers, PER_DIMENSION * dimension, seed)


def table(played: Mapping[Case, Played]) -> list[dict[str, Any]]:
    """A row for each dimension, number of workers and arm."""
    rows = []
    for dimension, workers in sorted({(case[1], case[3]) for case in played}):
        problems = sorted({(case[0], case[2]) for case in played if case[1] == dimension})

        arms = {
            arm: [played[f, dimension, i, workers, arm] for f, i in problems]
            for arm in sorted({case[4] for case in played})
        }
        for arm, searches in arms.items():
            row: dict[str, Any] = {"dimension": dimension, "workers": workers}
            row |= {"arm": ARMS[arm].name, "busy": float(np.mean([s.busy for s in searches]))}
            rows.append(row | compared(searches, arms[0], dimension, workers))
    return rows


def compared(
    these: Sequence[Played], plain: Sequence[Played], dimension: int, workers: int
) -> dict[str, Any]:
    """Shares of targets by evaluations and by time, how far they are from the plain one's, and how
    much sooner the targets are reached that both reach."""
    budget = PER_DIMENSION * dimension
    full_s = budget * MEAN_S / workers
    ends: Mapping[str, Callable[[Played], NDArray[np.bool_]]] = {
        f"by {budget // 3} evaluations": lambda p: p.evaluations <= budget // 3,
        f"by {budget} evaluations": lambda p: p.evaluations <= budget,
        f"by {full_s / 180:.0f} minutes": lambda p: p.seconds <= full_s / 3,
        f"by {full_s / 60:.0f} minutes": lambda p: p.seconds <= full_s,
    }
    row: dict[str, Any] = {}
    for end, reached in ends.items():
        shares = np.array([[reached(p).mean() for p in arm] for arm in (these, plain)])
        row[end] = {"share": float(shares[0].mean()), "ahead": interval(shares[0] - shares[1])}
    for name in ("evaluations", "seconds"):
        sooner = [
            np.log(getattr(b, name)[both] / getattr(a, name)[both]).mean()
            for a, b in zip(these, plain, strict=True)
            if (both := np.isfinite(a.seconds) & np.isfinite(b.seconds)).any()
        ]
        row[f"sooner by {name}"] = [float(np.exp(x)) for x in interval(np.array(sooner))]
    return row


def interval(values: Array) -> list[float]:
    """The mean, and the ends of its interval of 95 %."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(4000, len(values)))].mean(axis=1)
    return [float(x) for x in (values.mean(), *np.quantile(means, (0.025, 0.975)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dimensions", type=int, nargs="+", default=DIMENSIONS)
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="keep the figures under results/")
    given = parser.parse_args()
    parts = (FUNCTIONS, given.dimensions, INSTANCES, given.workers, range(len(ARMS)))
    cases: list[Case] = list(product(*parts))
    with get_context("spawn").Pool(given.processes) as pool:
        played = dict(pool.imap_unordered(run, cases))
    rows = table(played)
    for row in rows:
        print(f"{row['dimension']:2} genes, {row['workers']} workers, {row['arm']}:", end=" ")
        print(f"{100 * row['busy']:.0f} % busy")
        for name, value in row.items():
            if name.startswith("by "):
                mean, low, high = value["ahead"]
                print(f"    {name}: {value['share']:.3f} ({mean:+.3f}, {low:+.3f} to {high:+.3f})")
            if name.startswith("sooner"):
                print("    {}: {:.2f} times ({:.2f} to {:.2f})".format(name, *value))
    if given.write:
        write("asynchrony", {"rows": _kept(rows) + rows})


def _kept(rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The rows of earlier runs, of other dimensions."""
    new = {row["dimension"] for row in rows}
    return [row for row in earlier("asynchrony").get("rows", []) if row["dimension"] not in new]


if __name__ == "__main__":
    main()
