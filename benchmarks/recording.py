"""From studies to a table of recorded candidates, on which searches are replayed in seconds.

    python benchmarks/recording.py STUDY... --out benchmarks/tabular/NAME.parquet
    python benchmarks/recording.py STUDY... --out FILE --score validation holdout

One row a candidate that was scored on the whole search split:

    study, candidate     the study's name, the candidate's number
    kind                 landmark, asked or finalist; asked: its optimizer proposed it
    label, digest        a landmark's label or null; the recipe's digest
    gene.NAME            the gene's value in its own unit, a number or a choice
    scores.SPLIT.TASK    list of scores, one an example, in the order of the split; null: not scored
    tokens.SPLIT         tokens read and generated in that evaluation; null: not scored, not counted

SPLIT is search, validation or holdout; only tasks that the objective weighs are kept, and a score
is higher where the model is better. The recipe is scored once: a recipe that stands twice in the
studies has one row a candidate, all with the same scores.

A study has scored its finalists alone on validation and holdout. `--score` scores all its
candidates there, with the workers that its job names, and keeps the scores in the study: give it
finished studies, or copies. Nothing is scored twice. Tables in `tabular/` are made with `--splits
search validation`: what is tuned on them must not have seen the holdout.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from evomerge.api import job_of
from evomerge.evaluators.base import SPLITS, Report, Split
from evomerge.searching.final_comparison import Scorer
from evomerge.searching.plan import Plan
from evomerge.searching.under_test import Reports
from evomerge.study.candidate import Candidate
from evomerge.study.record import Study
from evomerge.study.select_recipe import recorded

KINDS = {"optimizer": "asked", "landmark": "landmark", "finalist": "finalist"}


def scored(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Those that have a fitness."""
    return [candidate for candidate in candidates if candidate.fitness is not None]


def score(folder: Path, splits: Sequence[Split]) -> None:
    """Score all candidates of a study on further splits; what was scored there is kept."""
    with Study.open(folder, write=True) as study:
        plan = Plan(job_of(study))
        workers = plan.executor()
        try:
            scorer = Scorer(study, workers, plan.evaluator)
            recipes = {
                f"candidate {candidate.number}": recorded(candidate.recipe, study)
                for candidate in scored(study.candidates())
            }
            for split in splits:
                scorer.score(recipes, split, noun="candidate")
        finally:
            workers.close()


def rows_of(study: Study, splits: Sequence[Split] = SPLITS) -> list[dict[str, Any]]:
    """A row for each candidate that was scored on the whole search split."""
    weights = job_of(study).evaluator.weights
    digest = str(study.get("evaluator"))
    rows = []
    for candidate in scored(study.candidates()):
        reports: dict[Split, Report | None] = {
            "search": Reports(study, digest, {}).of(candidate),
            "validation": study.reports.load(candidate.digest, digest, "validation"),
            "holdout": study.reports.load(candidate.digest, digest, "holdout"),
        }
        if reports["search"] is None or reports["search"].places is not None:
            continue
        row: dict[str, Any] = {
            "study": study.name,
            "candidate": candidate.number,
            "kind": KINDS[candidate.proposed_by],
            "label": candidate.label,
            "digest": candidate.digest,
            **{f"gene.{name}": value for name, value in candidate.values.items()},
        }
        for split in splits:
            row |= columns_of(split, reports[split], weights)
        rows.append(row)
    return rows


def columns_of(split: Split, report: Report | None, tasks: Iterable[str]) -> dict[str, Any]:
    """What a row says of one split."""
    columns: dict[str, Any] = {}
    for name in tasks:
        task = None if report is None else report.tasks[name]
        sign = 1.0 if task is None or task.higher_is_better else -1.0
        columns[f"scores.{split}.{name}"] = task and [sign * score for score in task.examples]
    tokens = None if report is None else report.tokens
    columns[f"tokens.{split}"] = tokens and tokens.read + tokens.generated
    return columns


def write(folders: Sequence[Path], out: Path, splits: Sequence[Split] = SPLITS) -> int:
    """Write the table of some studies, with these splits; the number of its rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = []
    for folder in folders:
        with Study.open(folder, write=False) as study:
            rows += rows_of(study, splits)
    names = dict.fromkeys(name for row in rows for name in row)
    kinds = {"scores": pa.list_(pa.float32()), "tokens": pa.int64()}
    out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.table(
            {
                name: pa.array(
                    [row.get(name) for row in rows],
                    type=kinds.get(name.split(".")[0]),
                )
                for name in names
            }
        ),
        out,
        compression="zstd",
    )
    return len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", type=Path, nargs="+", metavar="STUDY")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--score", choices=SPLITS[1:], nargs="+", default=[])
    parser.add_argument("--splits", choices=SPLITS, nargs="+", default=SPLITS)
    given = parser.parse_args()
    for folder in given.studies:
        if given.score:
            score(folder, given.score)
    print(f"{write(given.studies, given.out, given.splits)} candidates in {given.out}")


if __name__ == "__main__":
    main()
