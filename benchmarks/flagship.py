"""The demo's search, larger and over several seeds: does the evolved merge beat what it must beat?

    python benchmarks/flagship.py [--seeds 1 2 3] [--candidates 120]

Each seed is a study of its own (in runs/flagship/seed-N, resumed if it was interrupted): search on
the search split, choice on the validation split, one look at the holdout. The table that is printed
and kept under `results/` has every seed, whatever came out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from evomerge import api
from evomerge.config import Budget, read_job
from evomerge.console import Terminal

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--candidates", type=int, default=120)
    given = parser.parse_args()
    job = read_job(ROOT / "examples" / "flagship.yaml")
    rows = []
    for seed in given.seeds:
        folder = ROOT / "runs" / "flagship" / f"seed-{seed}"
        seeded = job.model_copy(
            update={"seed": seed, "budget": Budget(candidates=given.candidates)}
        )
        with Terminal(folder) as terminal:
            if (folder / "study.json").exists():
                comparison = api.resume(folder, terminal)
            else:
                comparison = api.search(seeded, folder, terminal)
        rows.append({"seed": seed, **comparison.to_json()})
    found = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} CPUs, {platform.processor() or platform.machine()}",
        "candidates": given.candidates,
        "seeds": rows,
    }
    path = ROOT / "benchmarks" / "results" / "flagship.json"
    path.write_text(json.dumps(found, indent=2) + "\n")
    print(path)


if __name__ == "__main__":
    main()
