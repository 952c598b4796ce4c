"""Seconds from "the recipe is known" to "the first request runs", over a live engine and over disk.

    python benchmarks/turnaround.py [--repeats 5] [--disk-repeats 3]

- in place: the recipe is merged inside the live engine's worker and swapped in, for both engines;
- disk, new process: write a checkpoint, start a process with a vLLM engine on it. This is what a
  search without live engines does for each candidate, and the only way that gives a GPU's memory
  back for certain;
- disk, same process: the friendliest case, an engine closed and opened anew in a process that has
  imported and warmed up everything.

All in one run on one machine, on the demo's model family, each timed until one token of one prompt
has come back. Recipes differ from one repeat to the next, so that nothing is served from a cache.
Every engine is eager: with graphs and compilation the disk paths would take longer.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from published import ROOT, write

from evomerge.engines.base import Engine
from evomerge.engines.config import EngineConfig
from evomerge.engines.factory import start_engine
from evomerge.evaluators.live_model import Sampling
from evomerge.merging.checkpoint import write_checkpoint
from evomerge.merging.weights import MergedWeights
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Rule

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
    times = []
    for number in range(repeats + 1):
        began = time.perf_counter()
        work(number)
        times.append(time.perf_counter() - began)
    return times[1:]


def in_place(kind: Literal["transformers", "vllm"], repeats: int) -> list[float]:
    engine = start_engine(eager(kind), MODEL)

    def turn(number: int) -> None:
        engine.load(MergedWeights(recipe(number)))
        first_request(engine)

    try:
        return timed(turn, repeats)
    finally:
        engine.close()


def disk(run: Callable[[Path], None], repeats: int) -> list[float]:
    def turn(number: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "model"
            write_checkpoint(recipe(number), out, card="")
            run(out)

    return timed(turn, repeats)


def run_here(folder: Path) -> None:
    engine = start_engine(eager("vllm"), folder)
    first_request(engine)
    engine.close()


def run_in_a_new_process(folder: Path) -> None:
    subprocess.run([sys.executable, __file__, "--run", str(folder)], check=True)


def eager(kind: Literal["transformers", "vllm"]) -> EngineConfig:
    return EngineConfig(
        kind=kind, dtype="float32", max_length=512, enforce_eager=True, kv_cache_gib=1
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--disk-repeats", type=int, default=3)
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    if given.run:
        run_here(given.run)
        return
    rows = {
        "in place, transformers": in_place("transformers", given.repeats),
        "in place, vllm": in_place("vllm", given.repeats),
        "disk, vllm, same process": disk(run_here, given.disk_repeats),
        "disk, vllm, new process": disk(run_in_a_new_process, given.disk_repeats),
    }
    median = {name: statistics.median(times) for name, times in rows.items()}
    for name, times in rows.items():
        spread = f"{min(times):.2f} to {max(times):.2f}"
        print(f"{name:<26} {median[name]:7.2f} s   ({spread}, {len(times)} runs)")
    ratios = {
        name: median[name] / median["in place, vllm"] for name in rows if name.startswith("disk")
    }
    for name, ratio in ratios.items():
        print(f"{name} / in place, vllm: {ratio:.1f} (target: at least 20)")
    write("turnaround", {"seconds": rows, "ratio_to_in_place_vllm": ratios})


if __name__ == "__main__":
    main()
