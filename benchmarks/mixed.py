"""Which optimizer for spaces of choices and numbers, such as data flow's?

    python benchmarks/mixed.py [--seeds 10] [--problems net-60 ...] [--methods random ...]

No language model: two frozen random residual networks of 30 layers that share a base, and a path
through the layers of both that neither is. An example is right where a candidate's path gives both
of the hidden path's answers; the fitness is the share of 64 examples, as in a search, and what is
reported is the share of 2000 others, for the candidate that looked best and for the one that 200
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

import numpy as np
from numpy.typing import NDArray
from published import write

from evomerge.optimizers.base import Answer
from evomerge.optimizers.registry import configure, make
from evomerge.recipe.genome import ChoiceGene, FloatGene, Gene, Genome

Array = NDArray[np.float64]
Path = tuple[NDArray[np.int64], Array]
"""Layers of the pool, and the scale of each hop."""

BUDGETS = (100, 300, 1000)
SEARCH, VALIDATION, TRUTH = 64, 200, 2000
WORKERS = 8


class Networks:
    """A pool of two residual networks' layers; examples are inputs and the hidden path's answers.

    Each block reads its input normalised, as a Llama's does: a scale weighs the old stream against
    what the block adds.
    """

    WIDTH, CLASSES, STEP, SHARED = 16, 8, 0.6, 0.55

    def __init__(self, seed: int, layers: int, *, scales: bool) -> None:
        rng = np.random.default_rng(seed)
        base = self._blocks(rng, layers)
        pool = [
            self.SHARED * base + (1 - self.SHARED**2) ** 0.5 * self._blocks(rng, layers)
            for _ in "AB"
        ]
        self._pool = 2 * np.concatenate(pool)
        self._heads = rng.normal(size=(self.WIDTH, 2, self.CLASSES))
        early, late = range(layers * 2 // 3), range(layers // 2, layers)
        path = np.array([*early, *(layers + i for i in late)])
        spread = rng.normal(0, 0.15, len(path)) if scales else np.zeros(len(path))
        self._path: Path = (path, np.exp(spread))

    def examples(self, count: int, seed: int) -> Any:
        inputs = np.random.default_rng(seed).normal(size=(count, self.WIDTH))
        return inputs, self._answers(inputs, [self._path])[0]

    def right(self, paths: Sequence[Path], examples: Any) -> Array:
        """(paths,): shares of examples that are right."""
        inputs, answers = examples
        right = (self._answers(inputs, paths) == answers).all(-1)
        return np.asarray(right.mean(-1))

    def _blocks(self, rng: np.random.Generator, layers: int) -> Array:
        shape = (layers, self.WIDTH, self.WIDTH)
        common = rng.normal(size=(1, *shape[1:]))
        return np.asarray((0.3 * common + 0.95 * rng.normal(size=shape)) / self.WIDTH**0.5)

    def _answers(self, inputs: Array, paths: Sequence[Path]) -> NDArray[np.int64]:
        """(paths, examples, heads); all paths together, as numpy costs by the call."""
        order = np.argsort([-len(path) for path, _ in paths], kind="stable")
        h = np.repeat(inputs[None], len(paths), 0)
        for hop in range(len(paths[order[0]][0])):
            going = [i for i in order if len(paths[i][0]) > hop]
            n = len(going)
            h[:n] *= np.array([paths[i][1][hop] for i in going])[:, None, None]
            blocks = self._pool[[paths[i][0][hop] for i in going]]
            h[:n] += self.STEP * np.tanh(normalised(h[:n]) @ blocks)
        logits = np.einsum("pnw,whc->pnhc", normalised(h), self._heads)
        answers = np.empty(logits.shape[:-1], dtype=np.int64)
        answers[order] = logits.argmax(-1)
        return answers


def normalised(h: Array) -> Array:
    return np.asarray(h / np.sqrt(np.einsum("pnw,pnw->pn", h, h) / h.shape[-1] + 1e-12)[..., None])


class Needs:
    """Every example needs three layers, early ones of A or late ones of B, and is spoilt by two.

    It is right if its layers run, in order, none that spoils it does, and their scales are near
    enough. Paths of more than 1.5 times the pool's length are right half as often.
    """

    def __init__(self, seed: int, layers: int, *, scales: bool) -> None:
        rng = np.random.default_rng(seed)
        self._layers, self._scales = layers, scales
        self._wanted = np.array([*range(layers // 2), *range(layers + layers // 2, 2 * layers)])
        self._others = np.setdiff1d(np.arange(2 * layers), self._wanted)
        self._optimum = np.exp(rng.normal(0, 0.1, 2 * layers))

    def examples(self, count: int, seed: int) -> Any:
        rng = np.random.default_rng(seed)
        needs = np.array([rng.choice(self._wanted, 3, replace=False) for _ in range(count)])
        spoilers = np.array([rng.choice(self._others, 2, replace=False) for _ in range(count)])
        return needs, spoilers, rng.uniform(0.1, 0.4, count)

    def right(self, paths: Sequence[Path], examples: Any) -> Array:
        return np.array([self._one(path, scales, *examples) for path, scales in paths])

    def _one(
        self, path: NDArray[np.int64], scales: Array, needs: Any, spoilers: Any, near: Any
    ) -> float:
        runs = np.zeros(2 * self._layers, dtype=bool)
        runs[path] = True
        off = np.zeros(2 * self._layers)
        off[path] = np.abs(np.log(scales / self._optimum[path])) if self._scales else 0.0
        first = np.full(2 * self._layers, -1)
        first[path[::-1]] = np.arange(len(path))[::-1]  # the first run of a layer counts
        place = first[np.sort(needs, axis=1)]
        ordered = (np.diff(place, axis=1) > 0).all(1)
        long = len(path) > 3 * self._layers
        right = runs[needs].all(1) & ~runs[spoilers].any(1) & ordered & (off[needs].max(1) < near)
        return float(right.mean()) * (0.5 if long else 1.0)


@dataclass(frozen=True)
class Space:
    """Slots over the pool, `repeats` times in order: A's own path is likely at first, all else
    seldom; scales: none, one a slot, or one a transition."""

    layers: int
    repeats: int
    scales: str
    genes: tuple[Gene, ...] = field(init=False)

    def __post_init__(self) -> None:
        slots = 2 * self.layers * self.repeats
        rest = 0.1 if self.repeats == 1 else 0.03
        odds = [0.977 if i < self.layers else rest for i in range(slots)]
        choices = [
            ChoiceGene(name=f"slot{i}", choices=("skip", "run"), odds=(1 - p, p))
            for i, p in enumerate(odds)
        ]
        count = {"none": 0, "per_hop": slots, "pair": (2 * self.layers) ** 2}[self.scales]
        numbers = [FloatGene(name=f"scale{i}", low=0.5, high=1.5, start=1.0) for i in range(count)]
        object.__setattr__(self, "genes", (*choices, *numbers))

    def path(self, genome: Genome) -> Path:
        slots, pool = 2 * self.layers * self.repeats, 2 * self.layers
        used = np.flatnonzero([value == "run" for value in genome[:slots]])
        layers = used % pool
        if self.scales == "none" or not len(used):
            return layers, np.ones(len(used))
        numbers = 0.5 + np.array(genome[slots:], dtype=float)
        return layers, self._of_hops(numbers, used, 1.0)

    def active(self, genome: Genome) -> list[bool]:
        slots = 2 * self.layers * self.repeats
        matters = np.zeros(len(self.genes), dtype=bool)
        matters[:slots] = True
        used = np.flatnonzero([value == "run" for value in genome[:slots]])
        if self.scales == "per_hop":
            matters[slots + used] = True
        elif self.scales == "pair":
            matters[slots + self._pairs(used)] = True
        return [bool(m) for m in matters]

    def _of_hops(self, numbers: Array, used: NDArray[np.int64], first: float) -> Array:
        if self.scales == "per_hop":
            return numbers[used]
        return np.array([first, *numbers[self._pairs(used)]])

    def _pairs(self, used: NDArray[np.int64]) -> NDArray[np.int64]:
        pool = 2 * self.layers
        layers = used % pool
        return layers[:-1] * pool + layers[1:]


PROBLEMS: dict[str, tuple[Callable[..., Networks | Needs], Space]] = {
    "needs-60": (Needs, Space(30, 1, "none")),
    "needs-180-scales": (Needs, Space(30, 3, "per_hop")),
    "net-60": (Networks, Space(30, 1, "none")),
    "net-60-scales": (Networks, Space(30, 1, "per_hop")),
    "net-48-pairs": (Networks, Space(12, 2, "pair")),
    "net-180": (Networks, Space(30, 3, "none")),
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
    kind, space = PROBLEMS[problem]
    task = kind(1000 + seed, space.layers, scales=space.scales != "none")
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
            questions = optimizer.ask(min(WORKERS, stop - asked))
            inside += time.perf_counter() - began
            shares = task.right([space.path(q.genome) for q in questions], search)
            pairs = list(zip(questions, shares.tolist(), strict=True))
            began = time.perf_counter()
            optimizer.tell([Answer(q.id, (share,)) for q, share in pairs])
            inside += time.perf_counter() - began
            asked += len(questions)
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


def line(found: Mapping[str, Any]) -> str:
    """Of `chosen`, median (first to third quartile) for each budget."""
    cells = [f"{mid:.2f} ({low:.2f} to {high:.2f})" for low, mid, high in found["chosen"].values()]
    return "  ".join(f"{cell:<20}" for cell in cells) + f"{found['ms_a_question']:8.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--problems", nargs="*", default=list(PROBLEMS), choices=PROBLEMS)
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=METHODS)
    parser.add_argument("--write", action="store_true", help="the results, over what was there")
    given = parser.parse_args()
    tables: dict[str, dict[str, Any]] = {}
    for problem in given.problems:
        print(problem)
        _, space = PROBLEMS[problem]
        genes = len(space.genes)
        tables[problem] = {}
        for name in given.methods:
            method = METHODS[name]
            conditional = method.config.get("conditional", False)
            if genes > method.most_genes or (conditional and space.scales == "none"):
                continue
            runs = [
                one_run(problem, method.config, seed, method.budget) for seed in range(given.seeds)
            ]
            tables[problem][name] = summary(runs)
            print(f"  {name:<38}{line(tables[problem][name])}", flush=True)
        if given.write:
            write("mixed", {"seeds": given.seeds, "true_share": tables})


if __name__ == "__main__":
    main()
