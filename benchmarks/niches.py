"""What an archive of natural niches costs: bytes, milliseconds a question, seconds a member.

    python benchmarks/niches.py [--depth 50] [--rounds 30] [--examples 10000]

Seeds are the three specialists of examples/niches.yaml.

- Gram matrices: seconds to measure them, a pass over the seeds;
- memory: bytes of an archive's tables, as arrays and as the text that is recorded, against a
  checkpoint for each member. The tables come from crossings of any two members, five for each place
  of the archive and, below, ten and at least 1000, each child in the place of a random one;
- question: milliseconds of one `ask` and one `tell` of natural niches at a full archive of such
  tables, with scores of so many examples, 0 and 1 or graded;
- member: seconds to build, in this process, a member of lineage depth 1 (two seeds in two ranges),
  one that takes all three seeds in one range, and one of a deep lineage (all three, a range for
  each crossing). Nothing is said of the first build: the files are read then;
- step by step: the same lineage by merging whole vectors parent by parent, kept in each of three
  types from generation to generation, and how far the weights are from those in float64.

The lineage crosses its youngest member with a random seed each time.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from published import ROOT, write
from torch import Tensor

from evomerge.config import read_job
from evomerge.merging.disk_cache import DiskCache
from evomerge.merging.grams import measure
from evomerge.merging.weights import MergedWeights
from evomerge.models.blueprint import blueprint
from evomerge.models.flat import flat_of
from evomerge.models.headers import Headers
from evomerge.optimizers.base import Observation, Result
from evomerge.optimizers.populations.crossing import CrossingConfig
from evomerge.optimizers.populations.table_crossing import CoefficientsCrossing
from evomerge.optimizers.registry import configure, make
from evomerge.recipe.arc import PARALLEL
from evomerge.recipe.grid import RESOLUTION
from evomerge.recipe.seed_pool import SeedPool
from evomerge.recipe.segments import PiecewiseCoefficients, cross
from evomerge.recipe.selector import Selector
from evomerge.recipe.tree import Recipe, Segments
from evomerge.search_spaces.segments import SegmentsSpace
from evomerge.searching.plan import Plan

SIZES = (20, 200, 2000)
LEAST_CROSSINGS = 1000
REPEATS = 5
BLOCK = 1 << 17
"""Elements of whole vectors that are worked on at a time: they stay in a core's cache."""
TYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16}
Step = tuple[int, int, float]
"""One crossing: the mate's number among the seeds, the split, the ratio."""


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def gram_matrices(plan: Plan, over: SegmentsSpace) -> None:
    """Measure them anew, not those on disk."""
    seeds = [plan.job.sources[name] for name in over.seed_pool.seeds]
    measure(seeds, plan.donor, [Selector()], RESOLUTION, DiskCache(None))


def bred(seed_pool: SeedPool, size: int, crossings: int) -> list[PiecewiseCoefficients]:
    """An archive after so many random crossings."""
    crossing = CoefficientsCrossing(CrossingConfig(), seed_pool)
    rng = np.random.default_rng(size)
    members = list(crossing.seeds())
    for _ in range(crossings):
        a, b = (members[int(i)] for i in rng.choice(len(members), 2, replace=False))
        child = crossing.cross(a, b, rng)
        if len(members) < size:
            members.append(child)
        else:
            members[int(rng.integers(size))] = child
    return members


def memory(
    members: Sequence[PiecewiseCoefficients], crossings: int, checkpoint: int
) -> dict[str, int]:
    parts = [chromosome for table in members for chromosome in table.chromosomes]
    return {
        "members": len(members),
        "crossings": crossings,
        "ranges_median": int(statistics.median(len(part.ends) for part in parts)),
        "table_bytes": sum(part.ends.nbytes + part.coefficients.nbytes for part in parts),
        "text_bytes": sum(len(table.to_text()) for table in members),
        "checkpoint_bytes": checkpoint * len(members),
    }


def proposal(
    over: SegmentsSpace,
    members: Sequence[PiecewiseCoefficients],
    examples: int,
    rounds: int,
    *,
    graded: bool,
) -> list[float]:
    """Milliseconds of each ask with its tell."""
    rng = np.random.default_rng(0)
    options = {"kind": "natural_niches", "archive": len(members)}
    niches = make(
        configure(options, origin="archive"), over.genes, seed=0, seed_pool=over.seed_pool
    )

    def scores() -> tuple[float, ...]:
        drawn = rng.random(examples)
        return tuple((drawn if graded else np.round(drawn)).tolist())

    seeds = [
        PiecewiseCoefficients.seed(over.seed_pool.seeds, over.seed_pool.sizes, name)
        for name in over.seed_pool.seeds
    ]
    for table in [*seeds, *members[len(seeds) :]]:
        niches.observe(Observation((table.to_text(),), (0.5,), scores()))
    times = []
    for number in range(rounds + 1):
        told = scores()
        began = time.perf_counter()
        (asked,) = niches.ask(1)
        niches.tell([Result(asked.id, (0.5,), told)])
        if number:  # the first one looks for seeds that were not tried
            times.append(1000 * (time.perf_counter() - began))
    return times


def lineage(seed_pool: SeedPool, depth: int) -> list[Step]:
    rng = np.random.default_rng(5)
    return [
        (
            int(rng.integers(1, len(seed_pool.seeds)) if not number else rng.integers(3)),
            seed_pool.grids[0].below(int(rng.integers(seed_pool.grids[0].size))),
            float(rng.random()),
        )
        for number in range(depth)
    ]


def descendant(seed_pool: SeedPool, steps: Sequence[Step]) -> PiecewiseCoefficients:
    """Of the first seed."""
    seeds = [
        PiecewiseCoefficients.seed(seed_pool.seeds, seed_pool.sizes, name)
        for name in seed_pool.seeds
    ]
    member = seeds[0]
    for mate, split, ratio in steps:
        member = cross(member, seeds[mate], splits=[split], ratios=[ratio], grams=seed_pool.grams)
    return member


def build_all(recipe: Recipe) -> None:
    for _ in MergedWeights(recipe, "bfloat16").tensors():
        pass


def built(recipes: Mapping[str, Recipe]) -> dict[str, list[float]]:
    """Seconds of each, taking turns, after one round that is not counted."""
    rows: dict[str, list[float]] = {name: [] for name in recipes}
    for number in range(REPEATS + 1):
        for name, recipe in recipes.items():
            took = seconds(lambda recipe=recipe: build_all(recipe))  # type: ignore[misc]
            if number:
                rows[name].append(took)
    return rows


def vector(recipe: Segments) -> Tensor:
    """A member's weights as one float32 vector, in the order that splits count in."""
    (flat,) = flat_of(recipe, "benchmark")
    weights = torch.empty(flat.size)
    for name, tensor in MergedWeights(recipe, "float32").tensors():
        if name in flat.starts:
            start = flat.starts[name]
            weights[start : start + tensor.numel()] = tensor.reshape(-1)
    return weights


def blocks(size: int) -> Iterator[slice]:
    for start in range(0, size, BLOCK):
        yield slice(start, min(start + BLOCK, size))


def inner(a: Tensor, b: Tensor, dtype: torch.dtype) -> float:
    return sum(float(a[part].to(dtype) @ b[part].to(dtype)) for part in blocks(len(a)))


def merge_step(a: Tensor, b: Tensor, split: int, ratio: float) -> None:
    """The child of two whole vectors, in A's place, rounded to A's type.

    Written out again from equation 2 of 2508.16204: nothing of the tables is used.
    """
    dtype = torch.float64 if a.dtype == torch.float64 else torch.float32
    lengths = math.sqrt(inner(a, a, dtype) * inner(b, b, dtype))
    omega = math.acos(min(max(inner(a, b, dtype) / lengths, -1.0), 1.0))
    for whole in blocks(len(a)):
        cut = min(max(split, whole.start), whole.stop)
        for part, t in ((slice(whole.start, cut), ratio), (slice(cut, whole.stop), 1 - ratio)):
            of_a, of_b = 1 - t, t
            if math.sin(omega) > PARALLEL:
                of_a, of_b = (math.sin(x * omega) / math.sin(omega) for x in (1 - t, t))
            a[part] = of_a * a[part].to(dtype) + of_b * b[part].to(dtype)


def step_by_step(
    vectors: Sequence[Tensor], steps: Sequence[Step], dtype: torch.dtype
) -> tuple[Tensor, list[float]]:
    """The member, and the seconds of each step."""
    member = vectors[0].to(dtype, copy=True)
    took = []
    for mate, split, ratio in steps:
        began = time.perf_counter()
        merge_step(member, vectors[mate], split, ratio)
        took.append(time.perf_counter() - began)
    return member, took


def distance(member: Tensor, other: Tensor) -> float:
    """|member - other| / |other|."""
    parts = [
        (member[p].double() - other[p].double(), other[p].double()) for p in blocks(len(member))
    ]
    away, length = (sum(float(x @ x) for x in column) for column in zip(*parts, strict=True))
    return math.sqrt(away / length)


def compare(over: SegmentsSpace, deep: Segments, steps: Sequence[Step]) -> dict[str, Any]:
    """The lineage by way of whole vectors, and how far each way's weights are from float64's."""
    landmarks = over.landmarks()
    seeds = [vector(over.recipe(landmarks[f"seed:{name}"])) for name in over.seed_pool.seeds]
    exact, took = step_by_step(seeds, steps, torch.float64)
    rows: dict[str, dict[str, Any]] = {"float64": {"seconds": took, "distance": 0.0}}
    for name in ("float32", "bfloat16"):
        member, took = step_by_step(seeds, steps, TYPES[name])
        rows[name] = {"seconds": took, "distance": distance(member, exact)}
    rows["table"] = {"seconds": [], "distance": distance(vector(deep), exact)}
    for name, row in rows.items():
        print(f"{name}: {row['distance']:.1e} from float64{said(row['seconds'])}")
    return rows


def said(took: list[float]) -> str:
    return f", {statistics.median(took):.2f} s a step, {sum(took):.1f} s in all" if took else ""


def say_memory(row: dict[str, int]) -> None:
    print(
        f"{row['members']} members, {row['crossings']} crossings:"
        f" tables of {row['table_bytes'] / 1e6:.3f} MB, {row['text_bytes'] / 1e6:.3f} MB as text,"
        f" {row['ranges_median']} ranges each;"
        f" checkpoints of {row['checkpoint_bytes'] / 1e9:.1f} GB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depth", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--examples", type=int, default=10_000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    plan = Plan(read_job(ROOT / "examples" / "niches.yaml"))
    over = plan.space
    assert isinstance(over, SegmentsSpace)
    seed_pool = over.seed_pool
    results: dict[str, Any] = {"gram_matrices_s": seconds(lambda: gram_matrices(plan, over))}
    print(f"Gram matrices of {len(seed_pool.seeds)} seeds: {results['gram_matrices_s']:.1f} s")
    uniform = over.recipe(over.landmarks()["uniform"])
    checkpoint = blueprint(uniform, Headers()).size
    results["memory"], results["question_ms"] = [], []
    for size in SIZES:
        for crossings in (5 * size, max(LEAST_CROSSINGS, 10 * size)):
            members = bred(seed_pool, size, crossings)
            results["memory"].append(memory(members, crossings, checkpoint))
            say_memory(results["memory"][-1])
        for graded in (False, True):
            took = proposal(over, members, given.examples, given.rounds, graded=graded)
            row = {"members": size, "examples": given.examples, "graded": graded, "ms": took}
            results["question_ms"].append(row)
            kind = "graded" if graded else "0 and 1"
            print(f"{size} members, {kind}: {statistics.median(took):.2f} ms an ask and a tell")

    steps = lineage(seed_pool, given.depth)
    deep = over.recipe((descendant(seed_pool, steps).to_text(),))
    recipes = {
        "depth 1": over.recipe((descendant(seed_pool, steps[:1]).to_text(),)),
        "three seeds, one range": uniform,
        f"depth {given.depth}": deep,
    }
    results["member_s"] = built(recipes)
    middles = {name: statistics.median(row) for name, row in results["member_s"].items()}
    for name, middle in middles.items():
        ratio = middles[f"depth {given.depth}"] / middle
        print(f"{name}: {middle:.2f} s a member; depth {given.depth} takes {ratio:.2f} times that")
    results["step_by_step"] = compare(over, deep, steps)
    write("niches", results)


if __name__ == "__main__":
    main()
