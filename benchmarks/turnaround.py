"""Seconds from "the recipe is known" to "the first request runs", for three ways to get there.

    python benchmarks/turnaround.py [--repeats 5]

- in place, vLLM: the recipe is merged inside the live engine's worker and swapped in;
- in place, transformers: the same with the other engine;
- disk: write a checkpoint, start a new vLLM engine on it (what a search without live engines does).

All in one run on one machine, on the demo's model family, each timed until one token of one prompt
has come back. Recipes differ from one repeat to the next, so that nothing is served from a cache.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from evomerge.evaluators.engines.base import Engine, Sampling
from evomerge.evaluators.engines.config import EngineConfig
from evomerge.evaluators.engines.start import start
from evomerge.merging.checkpoint import write_checkpoint
from evomerge.merging.weights import MergedWeights
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Rule

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / ".cache" / "smollm2-135m-instruct"
ADAPTERS = ROOT / "examples" / "specialists" / "adapters"
PARENTS = ("json", "math", "spell")


def recipe(number: int) -> Merge:
    """Task arithmetic over the demo's specialists; another one for each number."""
    base = Source(model=str(MODEL))
    parents = {n: Source(model=str(MODEL), adapter=str(ADAPTERS / n)) for n in PARENTS}
    weights = {n: {"weight": 0.3 + 0.01 * number} for n in PARENTS}
    return Merge(
        method="task_arithmetic",
        base="base",
        inputs={"base": base, **parents},
        rules=(Rule(inputs=weights),),
    )


def first_request(engine: Engine) -> None:
    prompt = engine.tokenizer("The capital of France is")["input_ids"]
    engine.generate([prompt], [Sampling(max_new_tokens=1)])


def timed(work: Callable[[int], None], repeats: int) -> list[float]:
    """Seconds of each repeat, after one that is not counted."""
    found = []
    for number in range(repeats + 1):
        began = time.perf_counter()
        work(number)
        found.append(time.perf_counter() - began)
    return found[1:]


def in_place(kind: str, repeats: int) -> list[float]:
    config = EngineConfig.model_validate(
        {
            "kind": kind,
            "dtype": "float32",
            "max_length": 512,
            "enforce_eager": True,
            "kv_cache_gib": 1,
        }
    )
    engine = start(config, MODEL)

    def one(number: int) -> None:
        engine.load(MergedWeights(recipe(number)))
        first_request(engine)

    try:
        return timed(one, repeats)
    finally:
        engine.close()


def disk(repeats: int) -> list[float]:
    config = EngineConfig(
        kind="vllm", dtype="float32", max_length=512, enforce_eager=True, kv_cache_gib=1
    )

    def one(number: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "model"
            write_checkpoint(recipe(number), out, card="")
            engine = start(config, out)
            first_request(engine)
            engine.close()

    return timed(one, repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--disk-repeats", type=int, default=2)
    given = parser.parse_args()
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    rows = {
        "in place, transformers": in_place("transformers", given.repeats),
        "in place, vllm": in_place("vllm", given.repeats),
        "disk, vllm": disk(given.disk_repeats),
    }
    median = {name: statistics.median(times) for name, times in rows.items()}
    for name, times in rows.items():
        spread = f"{min(times):.2f} to {max(times):.2f}"
        print(f"{name:<24} {median[name]:7.2f} s   ({spread}, {len(times)} runs)")
    ratio = median["disk, vllm"] / median["in place, vllm"]
    print(f"disk / in place, vllm: {ratio:.1f} (target: at least 20)")
    found = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} CPUs, {platform.processor() or platform.machine()}",
        "seconds": rows,
        "ratio_disk_to_in_place_vllm": ratio,
    }
    path = ROOT / "benchmarks" / "results" / "turnaround.json"
    path.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
