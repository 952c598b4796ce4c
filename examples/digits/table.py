"""The published comparison of M2N2 on digits, run again: a table over seeds, checks, and figures.

    PYTHONPATH=benchmarks python examples/digits/table.py [--seeds 5] [--jobs 2]

Every run is a file in runs/digits, so that what was interrupted goes on. The table goes to
benchmarks/results/digits.json, the figures to runs/digits.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Literal

import numpy as np
from brute_force import POINTS, brute_force
from checks import checks
from contestants import PRE_TRAINED, SCRATCH, CmaEs, FullCmaEs, SepCmaEs, optimizer
from course import course, plain
from digit_data import published_split
from figures import draw
from network import initial
from published import ROOT, write
from published_seeds import published_pair

from evomerge.publish import write_whole

__all__ = ["BRUTE_FORCE", "SEP_CMA_ES", "Run", "carry_out"]

FOLDER = ROOT / "runs" / "digits"
BRUTE_FORCE, SEP_CMA_ES, CMA_ES = "brute-force SLERP", "separable CMA-ES", "CMA-ES"
COVARIANCES: dict[str, type[SepCmaEs | FullCmaEs]] = {SEP_CMA_ES: SepCmaEs, CMA_ES: FullCmaEs}
ATTRACTION, CLOSE = ("M2N2", "M2N2 without attraction"), ("M2N2", SEP_CMA_ES)
Setting = Literal["pre-trained", "scratch"]


@dataclass(frozen=True)
class Run:
    """One method from one seed."""

    setting: Setting
    method: str
    seed: int
    budget: int

    @property
    def file(self) -> str:
        return f"{self.setting}-{re.sub('[^a-z0-9]+', '-', self.method.lower())}-{self.seed}.json"


def carry_out(run: Run) -> dict[str, Any]:
    """The run's marks, and the seconds that it took."""
    start = time.perf_counter()
    training, test = published_split()
    if run.setting == "pre-trained":
        founders = published_pair(training)
    else:
        first, second = (initial(np.random.default_rng([run.seed, i])) for i in (0, 1))
        founders = first, second
    if run.method == BRUTE_FORCE:
        marks = brute_force(*founders, training, test)
    elif run.method in COVARIANCES:
        made = COVARIANCES[run.method](run.seed)
        marks = course(made, [], training, test, budget=run.budget, batch=CmaEs.POPULATION)
    else:
        options = (PRE_TRAINED if run.setting == "pre-trained" else SCRATCH)[run.method]
        bred = optimizer(options, seed=run.seed, budget=run.budget)
        marks = course(bred, founders, training, test, budget=run.budget)
    return {
        "setting": run.setting,
        "method": run.method,
        "seed": run.seed,
        "budget": run.budget,
        "seconds": round(time.perf_counter() - start, 1),
        "marks": plain(marks),
    }


def kept(run: Run) -> dict[str, Any]:
    """As `carry_out`, or what is on file already."""
    path = FOLDER / run.file
    if path.exists():
        result: dict[str, Any] = json.loads(path.read_text())
        if result["budget"] == run.budget:
            return result
    result = carry_out(run)
    write_whole(path, json.dumps(result).encode())
    return result


def all_runs(seeds: int, scratch: int, pre_trained: int) -> list[Run]:
    """Twice as many seeds where a gap is small: attraction's from halves, and that between M2N2 and
    separable CMA-ES from scratch."""
    runs = []
    for seed in range(2 * seeds):
        runs += [Run("pre-trained", method, seed, pre_trained) for method in ATTRACTION]
        runs += [Run("scratch", method, seed, scratch) for method in CLOSE]
    for seed in range(seeds):
        others = (method for method in PRE_TRAINED if method not in ATTRACTION)
        runs += [Run("pre-trained", method, seed, pre_trained) for method in others]
        if seed == 0:  # it draws nothing at random
            runs.append(Run("pre-trained", BRUTE_FORCE, seed, POINTS))
        others = (method for method in SCRATCH if method not in CLOSE)
        runs += [Run("scratch", method, seed, scratch) for method in others]
    return runs


def rows(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One a method and setting: every seed's last mark, and means."""
    table = []
    for setting, method in dict.fromkeys(
        (result["setting"], result["method"]) for result in results
    ):
        own = [
            result
            for result in results
            if (result["setting"], result["method"]) == (setting, method)
        ]
        last = [result["marks"][-1] for result in own]
        row: dict[str, Any] = {"setting": setting, "method": method, "passes": last[0]["passes"]}
        row["seeds"] = len(own)
        for key in ("test", "training", "coverage", "entropy", "distinct"):
            values = [mark[key] for mark in last if mark[key] is not None]
            if values:
                row[key] = round(float(np.mean(values)), 4)
                row[f"{key}_by_seed"] = [round(value, 4) for value in values]
        row["test_std"] = round(float(np.std([mark["test"] for mark in last])), 4)
        row["seconds"] = round(float(np.mean([result["seconds"] for result in own])), 1)
        table.append(row)
    return table


def show(table: list[dict[str, Any]]) -> None:
    print(f"{'':40} {'passes':>7} {'test':>14} {'train':>7} {'cover':>7} {'entropy':>8} {'s':>6}")
    for row in table:
        said = [f"{row['setting']}, {row['method']}"]
        said += [
            f"{100 * row['test']:.1f} +- {100 * row['test_std']:.1f}",
            f"{row['training']:.3f}",
        ]
        said += [f"{row[key]:.3f}" if key in row else "" for key in ("coverage", "entropy")]
        name, test, train, cover, entropy = said
        print(
            f"{name:40} {row['passes']:7} {test:>14} {train:>7} {cover:>7} {entropy:>8}"
            f" {row['seconds']:6.0f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--scratch", type=int, default=50_000, help="passes from scratch")
    parser.add_argument("--pre-trained", type=int, default=10_000, help="passes from halves")
    parser.add_argument("--only", choices=["pre-trained", "scratch"], help="run these; no table")
    parser.add_argument(
        "--full", type=int, metavar="PASSES", help="CMA-ES with a full covariance, one seed (12 GB)"
    )
    given = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    runs = all_runs(given.seeds, given.scratch, given.pre_trained)
    if given.full:
        runs.append(Run("scratch", CMA_ES, 0, given.full))
    if given.only:
        runs = [run for run in runs if run.setting == given.only]
    results: dict[Run, dict[str, Any]] = {}
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(kept, run): run for run in runs}
        for future in as_completed(futures):
            run, results[futures[future]] = futures[future], future.result()
            mark = results[run]["marks"][-1]
            print(f"seed {run.seed}: {run.setting}, {run.method}: {mark['test']:.3f}", flush=True)
    ordered = [results[run] for run in runs]
    table = rows(ordered)
    show(table)
    if given.only:
        return
    verdicts = checks(ordered)
    for verdict in verdicts:
        print(f"{'holds' if verdict['holds'] else 'FAILS'}: {verdict['check']}: {verdict['found']}")
    write("digits", {"seeds": given.seeds, "rows": table, "checks": verdicts})
    draw(ordered, FOLDER)
    print(f"figures in {FOLDER}")


if __name__ == "__main__":
    # A matrix product here is too small to share among threads; the runs are what is shared.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
