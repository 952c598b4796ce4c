"""Natural niches against their peers and CMA-ES on language models, at equal evaluations.

    python benchmarks/niches_search.py [--seeds 1 2 3] [--candidates 60]

The sources, examples and objective (all four tasks) of examples/niches.yaml. Members bred from the
three specialists by natural niches, a genetic algorithm, CycleQD and random merging; CMA-ES in
parameter space, by both catalog entries that fit; and in task arithmetic natural niches over
recipes, alone and with CMA-ES in one (`cma_niches`). Beside CMA-ES in task arithmetic what a job
gets by `compare`: random search in the same space, task arithmetic with a strength for each
specialist, and greedy soup. Each is a study of its own (in runs/niches/candidates-N/seed-S, resumed
if interrupted): choice on the validation split, one look at the holdout; what does not depend on
the seed is scored once.

Said of each, and defined alike for all:

- *best*: the highest fitness on the search split, seeds aside;
- *holdout*: the mean over tasks of the member that the validation split chose, with every task;
- *forgetting*: what that member loses of a specialist's score at the specialist's own task on the
  holdout, as a mean over the three; below 0 where it is better than the specialists;
- *archive*: what the optimizer keeps at the end; where it keeps nothing, the best candidates, as
  many as the example's archive holds. Seeds may be among them. Of it the *coverage*, the share of
  search examples that some member solves, and the *entropy*, the mean over examples of the binary
  entropy, in bits, of the share of members that solve one;
- *tried*: the coverage of all that the optimizer asked for, seeds aside.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import yaml
from dataflow_search import run
from numpy.typing import NDArray
from published import ROOT, earlier, write

from evomerge.config import Job, Opponent, read_job
from evomerge.optimizers.base import Observation
from evomerge.optimizers.populations.config import PopulationConfig
from evomerge.reports.archive import archive
from evomerge.reports.pictures.archive import coverage, entropy
from evomerge.searching.opponents import opponent_job
from evomerge.searching.plan import Plan
from evomerge.study.candidate import Candidate, ranked
from evomerge.study.comparison import Comparison
from evomerge.study.record import Study

HERE = ROOT / "runs" / "niches"
OWN_TASKS = {"json": "evomerge_json", "math": "evomerge_math", "spell": "evomerge_spell"}
METHODS: Mapping[str, tuple[str, str | None]] = {
    "natural niches": ("natural_niches", None),
    "genetic": ("genetic_merge", None),
    "CycleQD": ("cycle_qd", None),
    "random merging": ("random_merge", None),
    "CMA-ES, task arithmetic": ("cma_es", "task_arithmetic"),
    "CMA-ES, DARE-TIES": ("cma_es", "evollm"),
    "natural niches, task arithmetic": ("natural_niches", "task_arithmetic"),
    "CMA niches, task arithmetic": ("cma_niches", "task_arithmetic"),
}
"""Optimizer, and catalog entry of parameter space where it is not the example's space; `evollm` is
Akiba et al.'s own (2403.13187)."""
OPPONENTS: Mapping[str, Opponent] = {
    "random search, task arithmetic": "random",
    "tuned task arithmetic": "task_arithmetic",
    "greedy soup": "soup",
}
"""Those of `CMA-ES, task arithmetic`."""
SHARED = {
    "natural_niches": ("archive", "warm_up"),
    "genetic_merge": ("archive", "warm_up"),
    "cma_niches": ("archive",),
}
"""Options that come from the example."""
MUTATION = {"natural niches, task arithmetic": 0.05}
"""Where crossing alone would stay between the specialists; the default of `cma_niches`."""


def with_method(job: Job, name: str, seed: int, evaluations: int) -> Job:
    """The example's job with another way to search."""
    if name in OPPONENTS:
        searched = with_method(job, "CMA-ES, task arithmetic", seed, evaluations)
        other = opponent_job(OPPONENTS[name], searched, Plan(searched).space)
        return other.model_copy(update={"name": name})
    kind, entry = METHODS[name]
    data = job.model_dump(mode="json")
    options = {key: data["optimizer"][key] for key in SHARED.get(kind, ())}
    if name in MUTATION:
        options["mutation"] = MUTATION[name]
    data |= {
        "name": name,
        "seed": seed,
        "optimizer": {"kind": kind, **options},
        "budget": {"evaluations": evaluations},
    }
    if entry:
        text = (ROOT / "search_spaces" / "parameter_space" / f"{entry}.yaml").read_text()
        data["space"] = yaml.safe_load(text)
    return Job.model_validate(data)


def kept(job: Job, study: Study, size: int) -> list[Candidate]:
    """The archive at the end."""
    candidates = study.candidates()
    if not (isinstance(job.optimizer, PopulationConfig) and job.optimizer.keeps):
        return ranked(
            [candidate for candidate in candidates if candidate.proposed_by != "finalist"], size
        )
    members = archive(candidates, job.optimizer, lambda candidate: observed(job, study, candidate))
    return [member.candidate for member in members]


def asked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """By the optimizer: warm starts are no merit of a method."""
    return [
        candidate
        for candidate in candidates
        if candidate.proposed_by == "optimizer" and candidate.fitness
    ]


def observed(job: Job, study: Study, candidate: Candidate) -> Observation:
    report = study.reports.load(candidate.digest, job.evaluator.digest(), "search")
    assert report is not None
    assert candidate.fitness is not None
    return Observation(candidate.genome, candidate.fitness, *Plan(job).objective.scores(report))


def solved(job: Job, study: Study, some: Sequence[Candidate]) -> NDArray[np.float64]:
    """(candidates, search examples): 0 or 1."""
    return np.array([observed(job, study, candidate).examples for candidate in some])


def breadth(job: Job, folder: Path, size: int) -> dict[str, Any]:
    """What the archive and all that was tried know together."""
    with Study.open(folder, write=False) as study:
        members = solved(job, study, kept(job, study, size))
        tried = asked(study.candidates())
        return {
            "best_member_on_search": max(
                candidate.fitness[0] for candidate in tried if candidate.fitness
            ),
            "archive": len(members),
            "distinct_rows": len(np.unique(members, axis=0)),
            "coverage": coverage(members),
            "entropy": entropy(members),
            "coverage_tried": coverage(solved(job, study, tried)),
        }


def holdout(result: Mapping[str, Any]) -> dict[str, Any]:
    """The winner's mean over tasks, every baseline's, and what the winner forgot."""
    tables = {table.task: table for table in Comparison.from_json(result["holdout"]).tables}
    models = [row.model for row in next(iter(tables.values())).rows]
    values = {
        model: {
            task: next(row.value for row in table.rows if row.model == model)
            for task, table in tables.items()
        }
        for model in models
    }
    lost = {name: values[name][task] - values["evolved"][task] for name, task in OWN_TASKS.items()}
    return {
        "mean_over_tasks": {model: fmean(own.values()) for model, own in values.items()},
        "tasks": values["evolved"],
        "forgetting": fmean(lost.values()),
        "forgetting_by_task": lost,
    }


def one_search(
    job: Job, name: str, folder: Path, finished: list[Path], size: int
) -> dict[str, Any]:
    result = run(job, folder, finished)
    return {**breadth(job, folder, size), **holdout(result), **result}


def published(evaluations: int) -> dict[str, dict[str, Any]]:
    """Seed -> arm -> what an earlier run with as many evaluations has found."""
    before = earlier("niches_search")
    return dict(before["seeds"]) if before.get("evaluations") == evaluations else {}


def said(name: str, result: Mapping[str, Any]) -> str:
    return (
        f"{name}: best {result['best_member_on_search']:.3f}, holdout"
        f" {result['mean_over_tasks']['evolved']:.3f}, forgetting {result['forgetting']:+.3f},"
        f" coverage {result['coverage']:.3f} of {result['archive']}"
        f" ({result['coverage_tried']:.3f} of all), entropy {result['entropy']:.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--candidates", type=int, help="evaluations of each search")
    every = [*METHODS, *OPPONENTS]
    parser.add_argument("--methods", nargs="+", choices=every, default=every)
    parser.add_argument("--job", type=Path, default=ROOT / "examples" / "niches.yaml")
    given = parser.parse_args()
    job = read_job(given.job)
    count = given.candidates or job.budget.candidates or 0
    size = job.model_dump(mode="json")["optimizer"]["archive"]
    seeds = published(count)
    finished: list[Path] = []
    for seed in given.seeds:
        for name in given.methods:
            arm = with_method(job, name, seed, count)
            place = name.lower().replace(",", "").replace(" ", "-")
            folder = HERE / f"candidates-{count}" / f"seed-{seed}" / place
            result = one_search(arm, name, folder, finished, size)
            print(f"seed {seed}, {said(name, result)}", flush=True)
            seeds.setdefault(str(seed), {})[name] = result
            write("niches_search", {"evaluations": count, "seeds": seeds})


if __name__ == "__main__":
    main()
