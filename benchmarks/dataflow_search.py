"""Data flow, parameter space, and one after the other, at equal evaluations, over several seeds.

    python benchmarks/dataflow_search.py [--seeds 1 2 3] [--arms searches random]

Three searches a seed, of as many candidates each, on the examples of examples/dataflow.yaml:

- *data flow*: that job, a path over two specialists' layers, no weight changed;
- *parameter space*: task arithmetic of the same specialists, a weight each in every third of the
  depth;
- *hybrid*: half of the candidates in parameter space, then half over data flow, where the best
  merge so far is the first input beside the specialists, as in Akiba et al. (2403.13187).

Beside them what a job gets by `compare: [random]`, with as many candidates: random search over the
same paths, and over the same weights. A greedy soup of two models is one of them or their average.

Each is a study of its own (in runs/dataflow/seed-N, resumed if interrupted): choice on the
validation split, one look at the holdout. What does not depend on the seed is scored once.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from published import ROOT, earlier, portable, write
from sharing import Sharing

from evomerge import api
from evomerge.config import Job, read_job
from evomerge.recipe.digest import plain
from evomerge.recipe.tree import Recipe, Stack
from evomerge.recipe.yaml import read_recipe
from evomerge.searching.opponents import opponent_job
from evomerge.searching.plan import Plan
from evomerge.study.comparison import Comparison
from evomerge.study.record import Study
from evomerge.writers import export_recipe

HERE = ROOT / "runs" / "dataflow"
HALF_SPACE: Mapping[str, Any] = {
    "kind": "parameter",
    "base": "base",
    "method": "task_arithmetic",
    "groups": {"layers": 10},
    "genes": {"weight": [0.0, 1.2]},
}


def run(job: Job, folder: Path, finished: list[Path], begun: Path | None = None) -> dict[str, Any]:
    """One search to its end: what is published of it."""
    with Sharing(folder, finished, begun) as terminal:
        if (folder / "study.json").exists():
            comparison = api.resume(folder, terminal).comparison
        else:
            comparison = api.search(job, folder, terminal).comparison
    assert comparison is not None
    finished.append(folder)
    with Study.open(folder, write=False) as study:
        winner = study.get("winner")
        candidates = study.candidates()
        searched_s = max(candidate.told_s or 0.0 for candidate in candidates)
    return {
        "candidates": len(candidates),
        "evaluations": sum(candidate.attempts > 0 for candidate in candidates),
        "failed": sum(candidate.state == "failed" for candidate in candidates),
        "search_s": round(searched_s, 1),
        "best_on_search": max(
            candidate.fitness[0] for candidate in candidates if candidate.fitness
        ),
        "validation": winner["fitness"],
        "winner": winner["label"],
        "recipe": portable(winner["recipe"]),
        "holdout": comparison.to_json(),
    }


def with_space(job: Job, name: str, space: Mapping[str, Any], budget: Mapping[str, int]) -> Job:
    """The example's job over another space, with the base among its sources."""
    data = job.model_dump(mode="json")
    sources = {"base": data["sources"]["json"] | {"adapter": None}, **data["sources"]}
    data |= {
        "name": name,
        "space": dict(space),
        "sources": sources,
        "budget": dict(budget),
    }
    return Job.model_validate(data)


def searches(job: Job, folder: Path, finished: list[Path]) -> dict[str, Any]:
    """In parameter space every candidate is another recipe: candidates are evaluations."""
    count = job.budget.evaluations or 0
    data_flow = run(job, folder / "data-flow", finished)
    first = with_space(job, "half", HALF_SPACE, {"candidates": count // 2})
    half = run(first, folder / "parameter-half", finished)
    whole = run(in_parameter_space(job), folder / "parameter", finished, folder / "parameter-half")
    best = folder / "best.yaml"
    if not best.exists():
        export_recipe(folder / "parameter-half", best)
    space = hybrid_space(job, read_recipe(best))
    second = with_space(job, "hybrid", space, {"evaluations": count - count // 2})
    return {
        "data flow": data_flow,
        "parameter space": whole,
        "parameter space, half": half,
        "hybrid": run(second, folder / "hybrid", finished),
    }


def at_random(job: Job, folder: Path, finished: list[Path]) -> dict[str, Any]:
    """Random search over the paths, and over the weights."""
    weights = in_parameter_space(job)
    jobs = {
        "random paths": opponent_job("random", job, Plan(job).space),
        "random weights": opponent_job("random", weights, Plan(weights).space),
    }
    return {arm: run(own, folder / arm.replace(" ", "-"), finished) for arm, own in jobs.items()}


def in_parameter_space(job: Job) -> Job:
    """The search in parameter space, with as many candidates."""
    return with_space(
        job, "parameter space", HALF_SPACE, {"candidates": job.budget.evaluations or 0}
    )


ARMS = {"searches": searches, "random": at_random}


def hybrid_space(job: Job, merged: Recipe) -> dict[str, Any]:
    """The example's space with the merge as the first input; it starts near the merge itself."""
    space = job.space.model_dump(mode="json")
    return space | {
        "inputs": ["merged", *job.sources],
        "recipes": {"merged": plain(merged)},
        "start": {"own": 0.977, "other": 0.1},
    }


def said(arm: str, result: Mapping[str, Any]) -> str:
    comparison = Comparison.from_json(result["holdout"])
    table = comparison.tables[0]
    row = table.rows[0]
    path = read_hops(result["recipe"])
    return (
        f"{arm}: {table.task} {row.interval} on {table.examples} holdout examples, validation"
        f" {result['validation']:.3f}, {result['search_s']:.0f} s of search{path}"
    )


def read_hops(recipe: Mapping[str, Any]) -> str:
    if recipe["kind"] != "stack":
        return ""
    return f", {len(Stack.model_validate(recipe).hops)} layers"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--arms", choices=list(ARMS), nargs="+", default=list(ARMS))
    given = parser.parse_args()
    job = read_job(ROOT / "examples" / "dataflow.yaml")
    seeds: dict[str, Any] = dict(earlier("dataflow_search").get("seeds", {}))
    finished: list[Path] = []
    for seed in given.seeds:
        own = job.model_copy(update={"seed": seed})
        for arms in given.arms:
            found = ARMS[arms](own, HERE / f"seed-{seed}", finished)
            for arm, result in found.items():
                print(f"seed {seed}, {said(arm, result)}", flush=True)
            seeds[str(seed)] = seeds.get(str(seed), {}) | found
            write("dataflow_search", {"evaluations": job.budget.evaluations, "seeds": seeds})


if __name__ == "__main__":
    main()
