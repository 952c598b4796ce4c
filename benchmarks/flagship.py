"""The demo's search over several seeds: does the evolved merge beat what it must beat?

    python benchmarks/flagship.py [--job flagship|strong|demo|varied] [--seeds 1 2 3]
                                  [--optimizer KIND] [--compare random task_arithmetic soup]

Each seed is a study of its own (in runs/JOB/seed-N, resumed if it was interrupted): search on the
search split, choice on the validation split, one look at the holdout. Parents and plain merges do
not depend on the seed, so what a study has scored of them is shared with the next one. The table
that is printed and kept under `results/` has every seed, whatever came out.

With --optimizer another kind searches, all else being the job's: as many candidates on the same
examples, the same first ones, the same choice (runs/JOB-KIND, results/JOB_KIND.json). So
`--job strong --optimizer random` is random search at equal examples. The plain models' reports are
those of runs/JOB where it is still there, and scored once more otherwise.

With --compare other searches of equal cost follow each one and stand in its table
(runs/JOB-compared, results/JOB_compared.json). What runs/JOB/seed-N has scored is taken from there.

At the end all seeds stand in one table: of each model the mean over seeds, problem by problem, and
how far the winners are ahead of it, with intervals over the holdout's sentence forms.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, get_args

import pandas
from foreign_table import Problems
from published import ROOT, portable, write
from sharing import Sharing

import evomerge
from evomerge.config import Job, Opponent, read_job
from evomerge.optimizers.registry import configure
from evomerge.recipe.digest import plain
from evomerge.results import Results
from evomerge.study.comparison import Comparison
from evomerge.study.significance import holm
from evomerge.study.statistics import mean_interval, paired_difference

Row = dict[str, Any]

SEEDS = {
    "flagship": [1, 2, 3],
    "strong": [1, 2, 3],
    "demo": [7, 8, 9],
    "varied": [1, 2, 3],
}


def one_seed(job: Job, folder: Path, finished: Path | None) -> Results:
    """The study of one seed, searched to its end."""
    with Sharing(folder, [finished] if finished else []) as terminal:
        if (folder / "study.json").exists():
            return evomerge.resume(folder, terminal)
        return evomerge.search(job, folder, terminal)


def print_summary(seed: int, comparison: Comparison) -> None:
    """One seed in two lines: the winner on the three splits, and the verdict."""
    (table, *_) = comparison.tables
    print(f"seed {seed}: {table.task} {table.rows[0].interval} on {table.examples} examples")
    print(comparison.verdict.sentence if comparison.verdict else "no verdict")


def over_seeds(examples: Sequence[pandas.DataFrame], sources: Sequence[str]) -> list[Row]:
    """Of each model the mean over seeds on the holdout, the winners first, then the best; and how
    far the winners are ahead of it, with intervals over sources and p-values corrected by Holm.

    `examples`: of each seed the scores on the holdout (columns model, place, score); `sources` the
    source of each place.
    """
    means = pandas.concat(examples).groupby(["model", "place"]).score.mean()
    models = {str(model): list(own) for model, own in means.groupby("model")}
    winners = models.pop("evolved")
    rivals = sorted(models, key=lambda model: (-fmean(models[model]), model))
    ahead = [paired_difference(winners, models[model], clusters=sources) for model in rivals]
    corrected = holm([difference.p for difference in ahead])
    rows = [{"model": "evolved", **mean_interval(winners, sources).model_dump()}]
    for model, difference, p in zip(rivals, ahead, corrected, strict=True):
        own = mean_interval(models[model], sources)
        rows.append({"model": model, **own.model_dump(), "ahead": difference.model_dump(), "p": p})
    return rows


def on_holdout(results: Results, task: str) -> pandas.DataFrame:
    """What each model scored on the holdout's examples of a task."""
    scores = results.examples
    return scores[(scores.split == "holdout") & (scores.task == task)].sort_values("place")


def print_over_seeds(rows: Sequence[Row]) -> None:
    """A line for each model."""
    print(f"\n{'mean over seeds':38}{'over forms':26}evolved ahead by            p (Holm)")
    for row in rows:
        print(f"{row['model']:38}{_said(row):26}", end="")
        print(f"{_said(row['ahead']):28}{row['p']:.3f}" if "ahead" in row else "")


def _said(estimate: Row) -> str:
    return "{mean:.3f} ({low:.3f} to {high:.3f})".format_map(estimate)


def job_of(name: str, kind: str | None, compare: Sequence[Opponent] = ()) -> Job:
    """A job of the examples, with an optimizer of another kind if one is named, and with other
    searches beside it."""
    job = read_job(ROOT / "examples" / f"{name}.yaml")
    if kind is not None:
        optimizer = configure(kind, origin="--optimizer")
        job = job.model_copy(update={"name": f"{name}-{kind}", "optimizer": optimizer})
    if compare:
        named = {"name": f"{job.name}-compared", "compare": tuple(compare)}
        job = job.model_copy(update=named)
    return job


def of_seed(job: Job, seed: int, known: Path) -> Job:
    """The job of one seed. `known`: a study of the same search, which need not be there."""
    reuse = (str(known),) if job.compare and known.exists() else ()
    return job.model_copy(update={"seed": seed, "reuse": reuse})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--job", choices=list(SEEDS), default="flagship")
    parser.add_argument("--optimizer", metavar="KIND", help="random, say, instead of the job's")
    parser.add_argument("--compare", choices=get_args(Opponent), nargs="+", default=[])
    parser.add_argument("--seeds", type=int, nargs="+")
    given = parser.parse_args()
    job = job_of(given.job, given.optimizer, given.compare)
    seeds: list[Row] = []
    examples: list[pandas.DataFrame] = []
    runs = ROOT / "runs"
    # A folder that is not there has no reports to share.
    first = runs / given.job / f"seed-{SEEDS[given.job][0]}"
    finished = None if job.name == given.job else first
    for seed in given.seeds or SEEDS[given.job]:
        folder = runs / job.name / f"seed-{seed}"
        own = of_seed(job, seed, runs / given.job / folder.name)
        results = one_seed(own, folder, finished)
        assert results.comparison is not None
        assert results.winner is not None
        print_summary(seed, results.comparison)
        recipe = portable(plain(results.winner.recipe))
        seeds.append({"seed": seed, "recipe": recipe, **results.comparison.to_json()})
        task = results.comparison.tables[0].task
        examples.append(on_holdout(results, task))
        problems = Problems.read("holdout", results.comparison.tables[0].examples)
        rows = over_seeds(examples, [row["template"] for row in problems.rows])
        searched = {"optimizer": job.optimizer.kind, "candidates": job.budget.candidates}
        write(job.name.replace("-", "_"), {**searched, "seeds": seeds, "over_seeds": rows})
        finished = folder
    print_over_seeds(rows)


if __name__ == "__main__":
    main()
