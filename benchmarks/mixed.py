"""Which optimizer for spaces of choices and numbers, such as data flow's?

    python benchmarks/mixed.py [--seeds 10] [--problems net-60 ...] [--methods random ...]

No language model: two frozen random residual networks of 30 layers that share a base, and a path
through the layers of both that neither is. An example is right where a candidate's path gives both
of the hidden path's answers; the fitness is the share of 64 examples, as in a search, and what is
reported is the share of 1000 others, for the candidate that looked best and for the one that 200
further examples choose among the best three and the optimizer's own recommendation. The second
kind, `needs`, is a puzzle: every example needs some layers and is spoilt by others.

Each run asks 1000 questions, slow methods fewer; what it had found after 100 and 300 is read off on
the way. Eight are open at a time.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from paths import Needs, Networks, Space
from published import earlier, write

from evomerge.optimizers.base import Result
from evomerge.optimizers.registry import configure, make
from evomerge.recipe.genome import Genome

BUDGETS = (100, 300, 1000)
SEARCH, VALIDATION, TRUTH = 64, 200, 1000
WORKERS = 8


@dataclass(frozen=True)
class Problem:
    """How its tasks are made, what is searched, and for how long."""

    task: Callable[..., Networks | Needs]
    space: Space
    budget: int


PROBLEMS: dict[str, Problem] = {
    "needs-60": Problem(Needs, Space(30, 1, "none"), 1000),
    "net-60": Problem(Networks, Space(30, 1, "none"), 1000),
    "net-60-scales": Problem(Networks, Space(30, 1, "per_hop"), 1000),
    "needs-180-scales": Problem(Needs, Space(30, 3, "per_hop"), 1000),
    "net-48-pairs": Problem(Networks, Space(12, 2, "pair"), 300),
    "net-180": Problem(Networks, Space(30, 3, "none"), 300),
}
"""Named by kind and slots; with a scale for each slot, or for each of 576 transitions."""


@dataclass(frozen=True)
class Method:
    """An optimizer, and for how long it may run here."""

    config: Mapping[str, Any]
    budget: int = 1000
    most_genes: int = 1000
    """Of a problem that it is tried on."""


def cma_es(discrete: str, covariance: str = "full", *, conditional: bool = False) -> Method:
    options = {"discrete": discrete, "covariance": covariance, "conditional": conditional}
    return Method({"kind": "cma_es", **options})


METHODS: dict[str, Method] = {
    "random": Method({"kind": "random"}),
    "genetic": Method({"kind": "genetic"}),
    "cma_es threshold": cma_es("threshold"),
    "cma_es integer": cma_es("integer"),
    "cma_es integer conditional": cma_es("integer", conditional=True),
    "cma_es margin": cma_es("margin"),
    "cma_es margin conditional": cma_es("margin", conditional=True),
    "cma_es margin separable": cma_es("margin", "separable"),
    "cma_es margin separable conditional": cma_es("margin", "separable", conditional=True),
    "nevergrad DiscreteOnePlusOne": Method(
        {"kind": "nevergrad", "optimizer": "DiscreteOnePlusOne"}, budget=100, most_genes=60
    ),
    "optuna NSGA-II": Method(
        {"kind": "optuna", "sampler": "NSGAIISampler", "options": {"population_size": 20}},
        budget=300,
        most_genes=60,
    ),
    "optuna TPE": Method(
        {"kind": "optuna", "sampler": "TPESampler", "options": {"constant_liar": True}},
        budget=300,
        most_genes=60,
    ),
}


@dataclass
class Run:
    """True shares after each budget: of the candidate that looked best, and of the chosen one."""

    best: list[float] = field(default_factory=list)
    chosen: list[float] = field(default_factory=list)
    ms_a_question: float = 0.0
    """Inside the optimizer."""


def one_run(problem: str, method: Mapping[str, Any], seed: int, budget: int) -> Run:
    """The same task for the same seed, whatever the method."""
    space = PROBLEMS[problem].space
    task = PROBLEMS[problem].task(1000 + seed, space.layers, scales=space.scales != "none")
    sizes = enumerate((SEARCH, VALIDATION, TRUTH))
    search, validation, truth = (task.examples(count, 7 * seed + k) for k, count in sizes)
    optimizer = make(
        configure(dict(method), origin="benchmark"),
        space.genes,
        seed=seed,
        workers=WORKERS,
        budget=budget,
        active=space.active,
    )
    run = Run()
    best: list[tuple[float, int, Genome]] = []
    asked, inside = 0, 0.0
    for stop in (b for b in BUDGETS if b <= budget):
        while asked < stop:
            began = time.perf_counter()
            proposals = optimizer.ask(min(WORKERS, stop - asked))
            inside += time.perf_counter() - began
            shares = task.right([space.path(q.genome) for q in proposals], search)
            pairs = list(zip(proposals, shares.tolist(), strict=True))
            began = time.perf_counter()
            optimizer.tell([Result(q.id, (share,)) for q, share in pairs])
            inside += time.perf_counter() - began
            asked += len(proposals)
            best = sorted([*best, *((-share, q.id, q.genome) for q, share in pairs)])[:3]
        finalists = [genome for _, _, genome in best]
        if (centre := optimizer.recommend()) is not None:
            finalists.append(centre)
        paths = [space.path(genome) for genome in finalists]
        true = task.right(paths, truth)
        run.best.append(float(true[0]))
        run.chosen.append(float(true[task.right(paths, validation).argmax()]))
    run.ms_a_question = 1000 * inside / asked
    return run


def summary(runs: Sequence[Run]) -> dict[str, Any]:
    """First quartile, median and third of the true share, after each budget."""

    def quartiles(of: Callable[[Run], list[float]]) -> dict[str, list[float]]:
        columns = zip(BUDGETS, zip(*map(of, runs), strict=True), strict=False)
        return {
            str(budget): [
                round(x, 3) for x in statistics.quantiles(values, n=4, method="inclusive")
            ]
            for budget, values in columns
        }

    return {
        "best": quartiles(lambda run: run.best),
        "chosen": quartiles(lambda run: run.chosen),
        "ms_a_question": round(statistics.median(run.ms_a_question for run in runs), 2),
    }


def line(row: Mapping[str, Any]) -> str:
    """Of `chosen`, median (first to third quartile) for each budget."""
    cells = [f"{mid:.2f} ({low:.2f} to {high:.2f})" for low, mid, high in row["chosen"].values()]
    return "  ".join(f"{cell:<20}" for cell in cells) + f"{row['ms_a_question']:8.1f} ms"


def older() -> dict[str, dict[str, Any]]:
    """The table of earlier runs: it takes a while, and may be made in pieces."""
    return dict(earlier("mixed").get("true_share", {}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--problems", nargs="*", default=list(PROBLEMS), choices=PROBLEMS)
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=METHODS)
    parser.add_argument("--write", action="store_true", help="keep the results, beside older ones")
    given = parser.parse_args()
    tables: dict[str, dict[str, Any]] = older() if given.write else {}
    for problem in given.problems:
        print(problem)
        space = PROBLEMS[problem].space
        genes = len(space.genes)
        tables.setdefault(problem, {})
        for name in given.methods:
            method = METHODS[name]
            conditional = method.config.get("conditional", False)
            if genes > method.most_genes or (conditional and space.scales == "none"):
                continue
            budget = min(PROBLEMS[problem].budget, method.budget)
            runs = [one_run(problem, method.config, seed, budget) for seed in range(given.seeds)]
            tables[problem][name] = {"seeds": given.seeds, **summary(runs)}
            print(f"  {name:<38}{line(tables[problem][name])}", flush=True)
            if given.write:
                write("mixed", {"true_share": tables})


if __name__ == "__main__":
    main()
