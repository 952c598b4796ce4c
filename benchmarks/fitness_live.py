"""What a live search costs whose schedule spares examples, and what it loses.

    python benchmarks/fitness_live.py [--job demo] [--seeds 7 8 9] [--ways whole halving ...]

The job once for each way and seed, each a study of its own (in runs/fitness/JOB/WAY/seed-N, resumed
if it was interrupted; `whole` is runs/JOB/seed-N, where flagship.py puts it). Ways have the
settings of fitness.py, which replays recorded candidates; here the optimizer asks what it asks, and
the winner is chosen and judged as in any search: by the validation split, with one look at the
holdout. Said of each are the search split's tokens, each recipe counted once, and the score of its
winner on the holdout.

What is known of parents and plain merges after the search is shared, as in flagship.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from fitness import WAYS
from flagship import SEEDS, one_seed
from published import ROOT, portable, write

from evomerge.config import SCHEDULES, Job, read_job
from evomerge.recipe.digest import plain
from evomerge.results import Results
from evomerge.searching.equal_cost import search_cost
from evomerge.searching.plan import Plan
from evomerge.study.record import Study

WHOLE = "whole"
KNOWN = [way for way, settings in WAYS.items() if settings["kind"] in SCHEDULES.known]


def with_schedule(job: Job, way: str, seed: int) -> Job:
    """The job with the schedule of a way."""
    schedule = SCHEDULES.config(WAYS[way])
    return job.model_copy(update={"schedule": schedule, "seed": seed})


def folder_of(job: str, way: str, seed: int) -> Path:
    """Where its study is."""
    runs = ROOT / "runs"
    place = way.replace(",", "").replace(" ", "-").lower()
    return (runs / job if way == WHOLE else runs / "fitness" / job / place) / f"seed-{seed}"


def row_of(job: Job, way: str, seed: int, folder: Path, results: Results) -> dict[str, Any]:
    """What is published of one search."""
    plan = Plan(job)
    with Study.open(folder, write=False) as study:
        spent = search_cost(way, study, plan.evaluator, plan.sizes)
    assert results.comparison is not None
    assert results.winner is not None
    (judged, *_) = results.comparison.tables
    return {
        "way": way,
        "seed": seed,
        "recipes": spent.evaluations,
        "examples": spent.examples,
        "tokens": (spent.tokens_read or 0) + (spent.tokens_generated or 0),
        "holdout": judged.rows[0].value,
        "holdout_examples": judged.examples,
        "recipe": portable(plain(results.winner.recipe)),
    }


def means(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each way over the seeds that it and the whole search have, beside the whole search."""
    whole = {row["seed"]: row for row in rows if row["way"] == WHOLE}
    found = []
    for way in dict.fromkeys(row["way"] for row in rows):
        pairs = [
            (row, whole[row["seed"]]) for row in rows if row["way"] == way and row["seed"] in whole
        ]
        if pairs:
            found.append(
                {
                    "way": way,
                    "seeds": len(pairs),
                    "tokens": fmean(own["tokens"] / full["tokens"] for own, full in pairs),
                    "holdout": fmean(own["holdout"] for own, _ in pairs),
                    "lost": fmean(full["holdout"] - own["holdout"] for own, full in pairs),
                    "same_winner": fmean(own["recipe"] == full["recipe"] for own, full in pairs),
                }
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--job", choices=list(SEEDS), default="demo")
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument(
        "--ways", nargs="+", choices=KNOWN, default=[WHOLE, "halving", "gmp-IRT, clusters"]
    )
    given = parser.parse_args()
    job = read_job(ROOT / "examples" / f"{given.job}.yaml")
    rows: list[dict[str, Any]] = []
    finished: Path | None = None
    for seed in given.seeds or SEEDS[given.job]:
        for way in given.ways:
            own = with_schedule(job, way, seed)
            folder = folder_of(given.job, way, seed)
            rows.append(row_of(own, way, seed, folder, one_seed(own, folder, finished)))
            finished = folder
            for row in means(rows):
                print("{way}: {tokens:.0%} of the tokens, holdout {holdout:.3f}".format(**row))
            write("fitness_live", {"job": given.job, "ways": means(rows), "searches": rows})


if __name__ == "__main__":
    main()
