"""Do intervals and tests by source hold what they say, with as few sources as the demo has?

    python benchmarks/intervals.py [--runs 1500]

Simulated answers to the demo's and the flagship's holdout problems, in their eleven sentence forms:
each form has a chance of its own (beta-distributed, of intraclass correlation RHO), and each
problem is answered by it. Of the mean: how often the interval of 95 % holds the true one. Of two
models whose chances in a form are drawn apart, with equal means: how often the interval of their
difference holds 0, and how often the test calls them different at 0.05.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from foreign_table import Problems
from numpy.typing import NDArray
from published import write

from evomerge.study.statistics import mean_interval, paired_difference

PROBLEMS = (160, 400)
MEANS = (0.05, 0.2, 0.55, 0.95)
RHOS = (0.05, 0.2, 0.4)


def answers(
    sources: Sequence[str], mean: float, rho: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(examples,) of 0 and 1, alike within a source by the intraclass correlation `rho`."""
    names, numbered = np.unique(sources, return_inverse=True)
    strength = (1 - rho) / rho
    chances = rng.beta(mean * strength, (1 - mean) * strength, len(names))
    right: NDArray[np.float64] = (rng.random(len(sources)) < chances[numbered]).astype(float)
    return right


def held(sources: Sequence[str], mean: float, rho: float, runs: int) -> dict[str, float]:
    """Shares of runs: `mean`'s and `difference`'s intervals that hold the truth; `called`, tests
    that call two equal models different."""
    rng = np.random.default_rng([len(sources), int(100 * mean), int(100 * rho)])
    counts = {"mean": 0, "difference": 0, "called": 0}
    for _ in range(runs):
        first, second = (answers(sources, mean, rho, rng) for _ in range(2))
        own = mean_interval(list(first), sources)
        ahead = paired_difference(list(first), list(second), clusters=sources)
        counts["mean"] += own.low <= mean <= own.high
        counts["difference"] += ahead.low <= 0 <= ahead.high
        counts["called"] += ahead.p <= 0.05
    return {name: count / runs for name, count in counts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=1500)
    given = parser.parse_args()
    print("problems  mean  rho   mean held  difference held  called different")
    rows: list[dict[str, Any]] = []
    for count, mean, rho in product(PROBLEMS, MEANS, RHOS):
        sources = [str(row["template"]) for row in Problems.read("holdout", count).rows]
        shares = held(sources, mean, rho, given.runs)
        rows.append({"problems": count, "true_mean": mean, "rho": rho, **shares})
        print(
            f"{count:8}  {mean:.2f}  {rho:.2f}  {shares['mean']:9.3f}  {shares['difference']:15.3f}"
            f"  {shares['called']:16.3f}"
        )
    write("intervals", {"runs": given.runs, "rows": rows})


if __name__ == "__main__":
    main()
