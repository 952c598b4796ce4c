"""What a data-flow candidate costs in a live engine, against a checkpoint of its own.

    python benchmarks/dataflow.py [--rounds 6] [--restarts 2]

- change: seconds until the live engine has another path, beside the evaluation of a candidate, and
  until a vLLM engine stands on the candidate's checkpoint, which is written first: in the same
  process, which has imported and warmed up everything, and in a new one;
- speed: tokens per second of paths of length L against a stock model of L layers, two live engines
  with the same settings that take turns, round by round;
- memory: bytes of the pool against a checkpoint for each of 100 candidates.

The pool is the demo's base and its specialist for arithmetic, 30 layers each. An evaluation stands
here for 16 prompts of 48 new tokens: those of a search are longer. Every engine is eager.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from published import ROOT, write

from evomerge.engines.base import DataFlowEngine, Engine
from evomerge.engines.config import EngineConfig
from evomerge.engines.factory import start_engine
from evomerge.evaluators.live_model import Sampling
from evomerge.merging.checkpoint import write_checkpoint
from evomerge.merging.weights import MergedWeights
from evomerge.models.blueprint import blueprint
from evomerge.models.headers import Headers
from evomerge.recipe.layer_path import Capacity, LayerPath, pooled
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Stack

MODEL = ROOT / ".cache" / "smollm2-135m-instruct"
LAYERS = 30
INPUTS = {
    "base": Source(model=str(MODEL)),
    "math": Source(
        model=str(MODEL), adapter=str(ROOT / "examples" / "specialists" / "adapters" / "math")
    ),
}
SETTINGS = EngineConfig(kind="vllm", max_length=512, enforce_eager=True, kv_cache_gib=1)
CANDIDATES = 100
WHO = "fox, ship, king, baker, moon, train, song, farmer".split(", ")
PROMPTS = [
    f"Once upon a time there was {kind} {who}. Every morning the {who} went to the"
    for kind in ("an old", "a young")
    for who in WHO
]
NEW_TOKENS = 48


def candidate(number: int) -> Stack:
    """A path of L hops: each takes its layer from either input."""
    draw = random.Random(number)
    hops = tuple(Hop(of=draw.choice(("base", "math")), layer=layer) for layer in range(LAYERS))
    return Stack(inputs=INPUTS, embedding="base", head="base", hops=hops)


def route_of(number: int) -> LayerPath:
    return pooled(candidate(number), dict.fromkeys(INPUTS, LAYERS))[1]


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def evaluation(engine: Engine) -> int:
    """Tokens of a batch of stories."""
    return stories(engine, PROMPTS)


def alone(engine: Engine) -> int:
    """Tokens of one story: what a step costs beside its arithmetic weighs most."""
    return stories(engine, PROMPTS[:1])


def stories(engine: Engine, beginnings: list[str]) -> int:
    prompts = [engine.tokenizer(text)["input_ids"] for text in beginnings]
    answers = engine.generate(prompts, [Sampling(max_new_tokens=NEW_TOKENS)] * len(prompts))
    return sum(answer.tokens for answer in answers)


def first_request(engine: Engine) -> None:
    prompt = engine.tokenizer(PROMPTS[0])["input_ids"]
    engine.generate([prompt], [Sampling(max_new_tokens=1)])


def run_here(folder: Path) -> None:
    engine = start_engine(SETTINGS, folder)
    first_request(engine)
    engine.close()


def run_in_a_new_process(folder: Path) -> None:
    subprocess.run([sys.executable, __file__, "--run", str(folder)], check=True)


def change(live: DataFlowEngine) -> dict[str, list[float]]:
    """Seconds of a new path, and of what a candidate is changed for."""
    rows: dict[str, list[float]] = {"route": [], "evaluation": []}
    for number in range(CANDIDATES):
        path = route_of(number)
        rows["route"].append(seconds(lambda path=path: live.layer_path(path)))  # type: ignore[misc]
        if number % 25 == 0:
            rows["evaluation"].append(seconds(lambda: evaluation(live)))
    return rows


def restart(run: Callable[[Path], None], restarts: int) -> list[float]:
    """Seconds from a recipe to the first request of an engine on its checkpoint."""
    times = []
    for number in range(restarts):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "model"
            began = time.perf_counter()
            write_checkpoint(candidate(number), out, card="")
            run(out)
            times.append(time.perf_counter() - began)
    return times


def speed(
    stock: Engine, live: DataFlowEngine, work: Callable[[Engine], int], rounds: int
) -> dict[str, list[float]]:
    """Tokens per second of each round after one that is not counted."""
    mixed = route_of(0)
    own = tuple(range(LAYERS))
    paths = {
        "stock model": None,
        "path, identity": LayerPath(layers=own, scales=(1.0,) * LAYERS),
        "path, mixed": mixed,
        "path, mixed, scaled": mixed.model_copy(update={"scales": (1.01,) * LAYERS}),
    }
    rates: dict[str, list[float]] = {name: [] for name in paths}
    for number in range(rounds + 1):
        for name, path in paths.items():
            engine: Engine = stock
            if path:
                live.layer_path(path)
                engine = live
            began = time.perf_counter()
            tokens = work(engine)
            if number:
                rates[name].append(tokens / (time.perf_counter() - began))
    return rates


def ratios(rates: dict[str, list[float]]) -> dict[str, float]:
    """Of each path to the stock model in the same round, the median."""
    return {
        name: statistics.median(a / b for a, b in zip(row, rates["stock model"], strict=True))
        for name, row in rates.items()
        if name != "stock model"
    }


def memory(pool: Stack) -> dict[str, int]:
    size = {
        name: blueprint(stack, Headers()).size
        for name, stack in (("pool", pool), ("checkpoint", candidate(0)))
    }
    return {
        "pool_bytes": size["pool"],
        "route_bytes": len(route_of(0).model_dump_json()),
        "checkpoint_bytes": size["checkpoint"],
        "candidates": CANDIDATES,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--restarts", type=int, default=2)
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    if given.run:
        run_here(given.run)
        return
    pool, _ = pooled(candidate(0), dict.fromkeys(INPUTS, LAYERS))
    stock = start_engine(SETTINGS, MODEL)
    live = start_engine(SETTINGS, MODEL, Capacity(layers=2 * LAYERS, hops=2 * LAYERS))
    live.load(MergedWeights(pool))
    rates = {
        "batch": speed(stock, live, evaluation, given.rounds),
        "one at a time": speed(stock, live, alone, given.rounds),
    }
    times = change(live)
    stock.close()
    live.close()
    times["checkpoint, same process"] = restart(run_here, given.restarts)
    times["checkpoint, new process"] = restart(run_in_a_new_process, given.restarts)
    held = memory(pool)

    for name, row in times.items():
        middle = statistics.median(row)
        print(f"{name:<26} {middle:9.4f} s   ({min(row):.4f} to {max(row):.4f}, {len(row)} runs)")
    share = statistics.median(times["route"]) / statistics.median(times["evaluation"])
    print(f"route / evaluation: {share:.2%} (target: under 1 %; route under 5 ms)")
    for kind, rows in rates.items():
        for name, row in rows.items():
            print(f"{kind}, {name:<22} {statistics.median(row):7.1f} tokens/s")
        for name, ratio in ratios(rows).items():
            print(f"{kind}, {name} / stock model: {ratio:.1%} (target: at least 95 %)")
    apart = held["checkpoint_bytes"] * CANDIDATES
    print(
        f"{CANDIDATES} candidates: a pool of {held['pool_bytes'] / 1e9:.2f} GB, or checkpoints of "
        f"{apart / 1e9:.1f} GB ({apart / held['pool_bytes']:.0f} times)"
    )
    write(
        "dataflow",
        {
            "seconds": times,
            "tokens_per_second": rates,
            "ratio_to_stock": {kind: ratios(rows) for kind, rows in rates.items()},
            "memory": held,
        },
    )


if __name__ == "__main__":
    main()
