"""Every optimizer on recorded searches, over 20 seeds: evaluations until CMA-ES's value at 200.

    python benchmarks/optimizers.py [--problems trade by_thirds] [--arms cma_es bayes] [--write]

A problem is a table of recorded candidates (`benchmarks/tabular/NAME.parquet`), of which a model is
fitted for each example (`surrogates.py`; its cross-validated error is reported), or a synthetic
one. A search sees what a search does: scores of 0 and 1 on a finite search split, drawn anew for
each seed. What is recommended after so many evaluations is chosen as a search chooses it: the best
three and the optimizer's own recommendation are scored on the validation split, and the best of
them is the winner. Reported is the winner's true value: its mean probability over the examples of
the holdout, which nothing has seen.

Every kind of the catalog takes part by its name, with its defaults, and the variants of `VARIANTS`;
`NAME, importance` is NAME told what is known of which genes matter: of a recorded search what
`evomerge measure JOB --what importance` found (`benchmarks/tabular/importance.json`: problem ->
gene -> share). One that cannot do a problem is left out of it, with its reason. With --write what
other runs have found stays, and arms that no run has tried are named (`not_run`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from published import ROOT, earlier, write
from surrogates import MODELS, chosen, points, read
from synthetic import SYNTHETIC

from evomerge.errors import ConfigError
from evomerge.evaluators.base import TaskScore
from evomerge.evaluators.quantities import standard_error
from evomerge.optimizers.base import Observation, Optimizer, Result
from evomerge.optimizers.registry import OPTIMIZERS, configure, make
from evomerge.recipe.genome import Genome, Scalar

TABLES = ROOT / "benchmarks" / "tabular"
BUDGET, EVERY, SEEDS, FINALISTS = 200, 5, 20, 3
PLAIN = "cma_es"
ROUNDING = 1e-12
"""Means over seeds that differ by no more were summed in another order."""

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "cma_es, lr_adapt": {"kind": "cma_es", "lr_adapt": True},
    "cma_es, sigma 0.3": {"kind": "cma_es", "sigma": 0.3},
    "nevergrad, swarm of 7": {
        "kind": "nevergrad",
        "optimizer": "ConfPSO",
        "options": {"popsize": 7},
    },
    "natural_niches, mutation 0.1": {"kind": "natural_niches", "mutation": 0.1},
    "optuna, multivariate off": {"kind": "optuna", "multivariate": False},
    "optuna GP": {"kind": "optuna", "sampler": "gp"},
    "optuna CMA-ES": {
        "kind": "optuna",
        "sampler": "cma_es",
        "warn_independent_sampling": False,
    },
}
SLOW: Mapping[str, int] = {"optuna GP": 60, "bayes": 60, "bayes, importance": 60}
"""Those that fit a model anew for each proposal: their budget."""

TOLD = ", importance"
INFORMED = ("bayes", "cma_es")
"""Those that take part once more, told the importance of genes."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """Genes, and how likely a genome solves each example of each split."""

    name: str
    genes: tuple[Scalar, ...]
    landmarks: Mapping[str, Genome]
    tasks: Mapping[str, tuple[int, ...]]
    """Split -> examples of each task."""
    chances: Any
    """Genome -> split -> (examples,) probabilities."""
    about: Mapping[str, Any]
    """What is said of it: the model, its errors."""
    importance: tuple[float, ...] | None = None
    """Of each gene, where it is known."""


@cache
def problem(name: str, model: str = "") -> Problem:
    """A synthetic one, or the table of that name."""
    if name in SYNTHETIC:
        made = SYNTHETIC[name]()
        return Problem(
            name,
            made.genes,
            made.landmarks,
            made.tasks,
            made.chances,
            {"synthetic": made.about},
            shares(made.genes, made.importance),
        )
    table = read(TABLES / f"{name}.parquet")
    x = points(table.genes, table.genomes)
    y = np.concatenate([table.scores[split] for split in table.scores], axis=1)
    best, errors = chosen(x, y, model)
    predict = MODELS[best](x, y)
    ends = np.cumsum([scores.shape[1] for scores in table.scores.values()])

    def chances(genome: Genome) -> dict[str, Array]:
        parts = np.split(predict(points(table.genes, [genome])[0]), ends[:-1])
        return dict(zip(table.scores, parts, strict=True))

    about = {"candidates": len(x), "examples": y.shape[1], "model": best, **errors}
    importance = shares(table.genes, measured().get(name, {}))
    return Problem(name, table.genes, table.landmarks, table.tasks, chances, about, importance)


def measured() -> dict[str, dict[str, float]]:
    """Problem -> gene -> importance, as far as it was measured of recorded searches' models."""
    path = TABLES / "importance.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def shares(genes: Sequence[Scalar], known: Mapping[str, float]) -> tuple[float, ...] | None:
    """Each gene's importance; None where nothing is known.

    Raises:
        ValueError: something is known, and not of every gene.
    """
    if not known:
        return None
    if missing := [gene.name for gene in genes if gene.name not in known]:
        raise ValueError(f"importance: nothing of {', '.join(missing)}; it has {', '.join(known)}")
    return tuple(known[gene.name] for gene in genes)


class Split:
    """A sample of a split's examples, on which genomes are scored 0 or 1 for each.

    What a genome is given depends on (seed, genome) alone, however often and when it is asked.
    """

    def __init__(self, of: Problem, split: str, seed: int) -> None:
        self._problem, self._seed = of, seed
        self._name = split if split in of.tasks else "search"
        rng = np.random.default_rng([seed, len(split)])
        starts = np.cumsum([0, *of.tasks[self._name]])
        sizes = of.tasks[self._name]
        self._places = [
            start + rng.integers(size, size=size)
            for start, size in zip(starts[:-1], sizes, strict=True)
        ]
        self._key = f"{seed}/{split}"

    def scores(self, genome: Genome) -> tuple[Array, tuple[float, ...]]:
        """(examples,), and each task's mean."""
        chances = self._problem.chances(genome)[self._name]
        digest = hashlib.sha256(f"{self._key}/{genome!r}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        parts = [(rng.random(len(at)) < chances[at]).astype(float) for at in self._places]
        return np.concatenate(parts), tuple(float(part.mean()) for part in parts)

    def observed(self, genome: Genome) -> Observation:
        """As the driver tells it: the mean over tasks is the fitness, and it is a sample's."""
        examples, tasks = self.scores(genome)
        each = np.split(examples, np.cumsum([len(at) for at in self._places])[:-1])
        errors = [standard_error(TaskScore.averaged("exact", tuple(own))) or 0.0 for own in each]
        error = float(np.sqrt(np.square(errors).sum())) / len(errors)
        return Observation(genome, (float(np.mean(tasks)),), tuple(examples), tasks, (error,))


def truth(of: Problem, genome: Genome) -> float:
    """The mean probability over the holdout's examples; of the search split's without one."""
    chances = of.chances(genome)
    return float(chances.get("holdout", chances["search"]).mean())


def settings() -> dict[str, Mapping[str, Any]]:
    """Every arm by name: each kind of the catalog, the variants, and those told the importance."""
    kinds = {kind: {"kind": kind} for kind in OPTIMIZERS.entries}
    return {**kinds, **VARIANTS, **{f"{kind}{TOLD}": kinds[kind] for kind in INFORMED}}


def play(of: Problem, arm: str, seed: int, budget: int) -> list[float]:
    """The true value of the winner after every `EVERY` evaluations.

    Raises:
        ConfigError: the optimizer cannot do this problem, or its importance is not known.
    """
    told = of.importance if arm.endswith(TOLD) else None
    if arm.endswith(TOLD) and told is None:
        raise ConfigError("nobody has measured the importance of its genes")
    budget = min(budget, SLOW.get(arm, budget))
    config = configure(settings()[arm], origin=arm)
    optimizer = make(config, of.genes, seed=seed, budget=budget, importance=told)
    search, validation = Split(of, "search", seed), Split(of, "validation", seed)
    known: dict[Genome, Observation] = {}
    curve: list[float] = []

    def evaluated(genome: Genome) -> Observation:
        if genome not in known:
            known[genome] = search.observed(genome)
            if len(known) % EVERY == 0:
                curve.append(truth(of, winner(known, optimizer, validation)))
        return known[genome]

    for genome in of.landmarks.values():
        optimizer.observe(evaluated(genome))
    for _ in range(4 * budget):  # an optimizer may ask what is known
        proposals = optimizer.ask(1)
        if not proposals or len(known) >= budget:
            break
        optimizer.tell([Result.of(q.id, evaluated(q.genome)) for q in proposals])
    while len(curve) < budget // EVERY:  # it asked nothing new
        curve.append(truth(of, winner(known, optimizer, validation)))
    return curve


def winner(known: Mapping[Genome, Observation], optimizer: Optimizer, split: Split) -> Genome:
    """The finalist that is best on the validation split; of equal ones the first."""
    ranked = sorted(known.values(), key=lambda o: -o.fitness[0])[:FINALISTS]
    finalists = [observation.genome for observation in ranked]
    recommended = optimizer.recommend()
    if recommended is not None:
        finalists.append(recommended)
    return max(finalists, key=lambda genome: split.observed(genome).fitness[0])


Case = tuple[str, str, int, int, str]
"""Problem, arm, seed, budget, model."""


def run(case: Case) -> tuple[Case, list[float] | str, float]:
    """One search: its curve, or why there is none; and the seconds that it took."""
    name, arm, seed, budget, model = case
    of = problem(name, model)
    started = time.perf_counter()
    try:
        curve: list[float] | str = play(of, arm, seed, budget)
    except (ConfigError, ValueError) as reason:  # ValueError: scores that the problem has not
        curve = str(reason)
    return case, curve, time.perf_counter() - started


def summary(
    curves: Mapping[str, Array], budget: int, target: float = np.inf
) -> list[dict[str, Any]]:
    """A row for each arm, best first: the mean at checkpoints, and when the target was reached.

    `curves`: arm -> (seeds, checkpoints). `target`: where plain CMA-ES is not among them.
    """
    if PLAIN in curves:
        target = float(curves[PLAIN][:, -1].mean())
    rng = np.random.default_rng(0)
    rows = []
    for arm, curve in curves.items():
        samples = rng.integers(len(curve), size=(2000, len(curve)))
        means = curve[samples].mean(axis=1)
        crossings = [_reached(mean, target) for mean in means]
        low, high = np.quantile(crossings, (0.025, 0.975), method="nearest")
        reached = _reached(curve.mean(axis=0), target)
        row: dict[str, Any] = {
            "arm": arm,
            "evaluations_until_target": _or_none(reached),
            "interval": [_or_none(low), _or_none(high)],
            "seeds": len(curve),
        }
        for at in (30, 60, 100, budget):
            if at // EVERY <= curve.shape[1]:
                column = curve[:, at // EVERY - 1]
                row[f"value_at_{at}"] = float(column.mean())
                row[f"error_at_{at}"] = float(column.std(ddof=1) / np.sqrt(len(column)))
        rows.append(row)
    return in_order(rows)


def in_order(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The quickest first."""
    return sorted(rows, key=lambda row: row["evaluations_until_target"] or np.inf)


def kept() -> dict[str, dict[str, Any]]:
    """What earlier runs have found, by problem."""
    return dict(earlier("optimizers").get("problems", {}))


def _reached(mean: Array, target: float) -> float:
    at = np.flatnonzero(mean >= target - ROUNDING)
    return float((at[0] + 1) * EVERY) if len(at) else float("inf")


def _or_none(value: float) -> int | None:
    return int(value) if np.isfinite(value) else None


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--problems", nargs="+", default=[*tables(), *SYNTHETIC])
    parser.add_argument("--arms", nargs="+", help="names of arms; all of them without it")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--budget", type=int, default=BUDGET, help="evaluations of a search")
    parser.add_argument("--model", default="", help="only surrogates whose name begins so")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="keep the figures under results/")
    given = parser.parse_args()
    arms = given.arms or list(settings())
    if unknown := set(arms) - settings().keys():
        parser.error(f"--arms: {', '.join(unknown)}; known are {', '.join(settings())}")
    for name in given.problems:
        of = problem(name, given.model)
        print(f"{name}: {len(of.genes)} genes; " + ", ".join(f"{k} {v}" for k, v in said(of)))
        before = kept().get(name, {})
        rows, left_out = compared(name, arms, given, before.get("target", np.inf))
        for row in rows:
            print(line(row))
        for arm, reason in left_out.items():
            print(f"    {arm}: left out: {reason}")
        ends = [row[f"value_at_{given.budget}"] for row in rows if row["arm"] == PLAIN]
        if given.write:
            known = kept()  # another run may have written since
            known[name] = {
                "genes": len(of.genes),
                **of.about,
                "target": ends[0] if ends else before.get("target"),
                **merged(known.get(name, {}), rows, left_out),
            }
            write("optimizers", {"budget": given.budget, "problems": known})


def merged(
    before: Mapping[str, Any], rows: Sequence[dict[str, Any]], left_out: Mapping[str, str]
) -> dict[str, Any]:
    """What is known of a problem's arms: each has a row, or a reason, or was not run. Arms that
    there were once are left out."""
    others = settings().keys() - {row["arm"] for row in rows} - left_out.keys()
    arms = in_order([*(row for row in before.get("arms", []) if row["arm"] in others), *rows])
    old = {arm: why for arm, why in before.get("left_out", {}).items() if arm in others}
    reasons = {**old, **left_out}
    known = {row["arm"] for row in arms} | reasons.keys()
    not_run = [arm for arm in settings() if arm not in known]
    return {"arms": arms, "left_out": reasons, "not_run": not_run}


def compared(
    name: str, arms: Sequence[str], given: argparse.Namespace, target: float
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The rows of all arms on a problem, and the reason of each that cannot do it."""
    left_out: dict[str, str] = {}
    curves: dict[str, list[list[float]]] = {}
    seconds: dict[str, list[float]] = {}
    budget: int = given.budget
    cases: list[Case] = [
        (name, arm, seed, budget, given.model) for arm, seed in product(arms, range(given.seeds))
    ]
    with get_context("spawn").Pool(given.processes) as pool:
        for (_, arm, *_), curve, took_s in pool.imap(run, cases):
            if isinstance(curve, str):
                left_out[arm] = curve
            else:
                curves.setdefault(arm, []).append(curve)
                seconds.setdefault(arm, []).append(took_s)
    rows = summary({arm: np.array(own) for arm, own in curves.items()}, budget, target)
    for row in rows:
        row["seconds"] = float(np.mean(seconds[row["arm"]]))
    return rows, left_out


def said(of: Problem) -> list[tuple[str, str]]:
    """What is known of a problem, in words."""
    return [
        (key.replace("_", " "), f"{value:.3f}" if isinstance(value, float) else str(value))
        for key, value in of.about.items()
    ]


def line(row: Mapping[str, Any]) -> str:
    """A row as text."""
    low, high = (at if at is not None else "never" for at in row["interval"])
    reached = row["evaluations_until_target"] or "never"
    values = ", ".join(
        f"{key.removeprefix('value_at_')}: {value:.3f} ± {row['error_at_' + key[9:]]:.3f}"
        for key, value in row.items()
        if key.startswith("value_at_")
    )
    target = f"target after {reached} ({low} to {high})"
    return f"    {row['arm']:22} {target}; {values}; {row['seconds']:.1f} s"


def tables() -> list[str]:
    """The recorded problems."""
    return sorted(path.stem for path in Path(TABLES).glob("*.parquet"))


if __name__ == "__main__":
    main()
