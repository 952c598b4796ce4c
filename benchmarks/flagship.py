"""The demo's search, larger and over several seeds: does the evolved merge beat what it must beat?

    python benchmarks/flagship.py [--seeds 1 2 3]

Each seed is a study of its own (in runs/flagship/seed-N, resumed if it was interrupted): search on
the search split, choice on the validation split, one look at the holdout. The parents and the plain
merges do not depend on the seed, so their holdout reports are made once and shared. The table that
is printed and kept under `results/` has every seed, whatever came out.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from published import ROOT, write

from evomerge import api
from evomerge.cluster.base import Executor
from evomerge.commands.terminal import Terminal
from evomerge.config import Job, read_job
from evomerge.recipe.digest import digest
from evomerge.searching.plan import Plan
from evomerge.study.comparison import Comparison
from evomerge.study.record import Study


class Sharing(Terminal):
    """The usual terminal, and the baselines' reports from a study that has them already."""

    def __init__(self, folder: Path, finished: Path | None) -> None:
        super().__init__(folder)
        self._finished = finished

    def started(self, job: Job, study: Study, executor: Executor) -> None:
        if self._finished:
            share_baselines(self._finished, study, job)
        super().started(job, study, executor)


def share_baselines(finished: Path, study: Study, job: Job) -> None:
    evaluator = job.evaluator.digest()
    with Study.open(finished, write=False) as other:
        for recipe in Plan(job).baselines.values():
            name = digest(recipe)
            report = other.load_report(name, evaluator, "holdout")
            if report and not study.load_report(name, evaluator, "holdout"):
                study.save_report(name, evaluator, report)


def one_seed(job: Job, folder: Path, finished: Path | None) -> tuple[Comparison, float]:
    """The holdout comparison, and the winner's fitness on the validation split."""
    with Sharing(folder, finished) as terminal:
        if (folder / "study.json").exists():
            comparison = api.resume(folder, terminal).comparison
        else:
            comparison = api.search(job, folder, terminal).comparison
    assert comparison is not None
    with Study.open(folder, write=False) as study:
        return comparison, float(study.get("winner")["fitness"])


def print_summary(seed: int, validation: float, comparison: Comparison) -> None:
    """The flagship task's row for one seed: the winner, and the model that comes nearest to it."""
    table = comparison.tables[0]
    winner, *others = table.rows
    low, nearest = min((row.ahead.low, row.model) for row in others if row.ahead)
    print(
        f"seed {seed}: {table.task} {winner.interval} on {table.examples} holdout examples,"
        f" {validation:.3f} on validation; ahead of each model by at least {low:.3f} ({nearest})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    given = parser.parse_args()
    job = read_job(ROOT / "examples" / "flagship.yaml")
    rows: list[dict[str, Any]] = []
    finished: Path | None = None
    for seed in given.seeds:
        folder = ROOT / "runs" / "flagship" / f"seed-{seed}"
        comparison, validation = one_seed(job.model_copy(update={"seed": seed}), folder, finished)
        print_summary(seed, validation, comparison)
        rows.append({"seed": seed, "validation": validation, **comparison.to_json()})
        write("flagship", {"candidates": job.budget.candidates, "seeds": rows})
        finished = finished or folder


if __name__ == "__main__":
    main()
