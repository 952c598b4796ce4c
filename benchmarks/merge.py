"""Merging three 135M experts: against the memory's bandwidth, and against mergekit.

    python benchmarks/merge.py [--methods linear ties] [--repeats 3] [--candidates]
    ATEN_CPU_CAPABILITY=avx2 python benchmarks/merge.py --candidates   # as on AVX2 alone
    python benchmarks/merge.py --before ../before [--methods linear ties]

For each method, in one run on one machine:

- candidate: seconds to merge in process, to bfloat16, with everything that the bank keeps in place
  and the kernel compiled, as a search's later candidates are, with another weight each time;
- bandwidth: the bytes of the inputs and of the result, once each, over that time, as a share of
  what a copy of the same size reaches;
- first, second: those candidates; the first finds no statistics on disk and fills the bank's cache,
  and until it has cost a second a kernel runs eagerly;
- mergekit: `run_merge` in process with its modules loaded, to disk as it always is;
- whole: `evomerge merge` and `mergekit-yaml` as processes, seconds and peak memory; without
  statistics on disk.

`--candidates` measures the first two alone, for which mergekit need not be installed, and writes
them under the name of the CPU's vectors (`merge_avx2.json`).
With ATEN_CPU_CAPABILITY=avx2, torch and its compiler use no AVX-512 vectors; the C++ compiler still
may, unless TORCHINDUCTOR_CPP_MARCH names a processor without them (haswell).
`--before` is another checkout of evomerge, for a change that should cost nothing: both take turns,
each in a process of its own that merges one candidate after another, and what is told is the CPU
seconds of a later candidate (user and system, all threads), in which other work on the machine
counts little, and the ratio of the medians.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from published import ROOT, write

from evomerge.interchange.convert import to_mergekit
from evomerge.merging.bank import open_bank
from evomerge.merging.checkpoint import write_checkpoint
from evomerge.merging.weights import MergedWeights
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Rule, sources_of
from evomerge.recipe.yaml import dump_recipe

MODEL = ROOT / ".cache" / "smollm2-135m-instruct"
ADAPTERS = ROOT / "examples" / "specialists" / "adapters"
EXPERTS = ("json", "math", "spell")
BASELESS = ("linear",)
OPTIONS: dict[str, dict[str, Any]] = {
    "slerp": {"t": 0.4},
    "dare_ties": {"rescale": "l1"},
    "della": {"rescale": "l1"},
    "sce": {"select_topk": 0.5},
}
EACH: dict[str, dict[str, Any]] = {
    "ties": {"density": 0.4},
    "dare_ties": {"density": 0.4},
    "della": {"density": 0.4, "epsilon": 0.1},
}
WARM = 8
"""Candidates before those that are measured."""
WEIGHTED = ("linear", "task_arithmetic", "ties", "dare_ties", "della", "tsvm")
METHODS = (
    "linear",
    "slerp",
    "task_arithmetic",
    "ties",
    "dare_ties",
    "della",
    "sce",
    "model_stock",
    "tsvm",
)


def experts(folder: Path) -> dict[str, Source]:
    """Whole checkpoints of the demo's specialists, as mergekit wants them, and their base."""
    base = Source(model=str(MODEL))
    sources = {"base": base}
    for name in EXPERTS:
        adapted = Source(model=str(MODEL), adapter=str(ADAPTERS / name))
        write_checkpoint(adapted, folder / name, card="")
        sources[name] = Source(model=str(folder / name))
    return sources


def recipe(method: str, sources: dict[str, Source], number: int = 0) -> Merge:
    """Another one for each number."""
    chosen = EXPERTS[:1] if method == "slerp" else EXPERTS
    base = None if method in BASELESS else "base"
    weight = {"weight": 0.5 + 0.01 * number} if method in WEIGHTED else {}
    own = {name: {**EACH.get(method, {}), **weight} for name in chosen}
    options = dict(OPTIONS.get(method, {}))
    if method == "slerp":
        options["t"] += 0.01 * number
    return Merge(
        method=method,
        base=base,
        inputs={name: sources[name] for name in ([base] if base else []) + list(chosen)},
        options=options,
        rules=(Rule(inputs=own if any(own.values()) else {}),),
    )


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def merge_all(merge: Merge) -> None:
    for _ in MergedWeights(merge, "bfloat16").tensors():
        pass


def copy_gb_per_s(size: int) -> float:
    """Bytes read and written a second by a copy between buffers that are there already."""
    source = torch.zeros(size, dtype=torch.uint8)
    target = torch.ones_like(source)
    best = min(seconds(lambda: target.copy_(source)) for _ in range(5))
    return 2 * size / best / 1e9


def moved(merge: Merge) -> int:
    """Bytes of the inputs and of the result."""
    sources = list(dict.fromkeys(sources_of(merge)))
    bank = open_bank(tuple(sources))
    size = bank.inventory(sources[0]).size
    return (len(sources) + 1) * size


def by_mergekit(text: str, folder: Path) -> float:
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    config = MergeConfiguration.model_validate(yaml.safe_load(text))
    options = MergeOptions(quiet=True, write_model_card=False, copy_tokenizer=False)
    with contextlib.redirect_stderr(io.StringIO()):
        return seconds(lambda: run_merge(config, str(folder / "theirs"), options))


def process(command: list[str]) -> tuple[float, float]:
    """Seconds, and peak GiB."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "EVOMERGE_STATISTICS": ""}
    began = time.perf_counter()
    child = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    peak = 0
    while child.poll() is None:
        # The kernel's own maximum; what `wait` tells would begin with this process's size.
        peak = max(peak, _peak_kib(child.pid))
        time.sleep(0.02)
    took = time.perf_counter() - began
    if child.returncode:
        raise SystemExit(f"{command[0]} failed")
    return took, peak / 2**20


def _peak_kib(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def candidates(method: str, sources: dict[str, Source], repeats: int) -> dict[str, Any]:
    first = seconds(partial(merge_all, recipe(method, sources)))
    numbered = [recipe(method, sources, number) for number in range(1, WARM + repeats)]
    later = [seconds(partial(merge_all, merge)) for merge in numbered]
    took = statistics.median(later[WARM - 1 :])
    merge = recipe(method, sources)
    # Beside the candidates: a machine that others share is not always as fast.
    copy = copy_gb_per_s(moved(merge) // 2)
    return {
        "first_s": first,
        "second_s": later[0],
        "candidate_s": took,
        "copy_gb_per_s": copy,
        "bandwidth_share": moved(merge) / took / 1e9 / copy,
    }


def cpu_of_candidates(method: str, models: Path, repeats: int) -> list[float]:
    """CPU seconds of each later candidate, in this process."""
    sources = {name: Source(model=str(models / name)) for name in EXPERTS}
    sources["base"] = Source(model=str(MODEL))
    seconds_each = []
    for number in range(WARM + repeats):
        began = time.process_time()
        merge_all(recipe(method, sources, number))
        seconds_each.append(time.process_time() - began)
    return seconds_each[WARM:]


def against(method: str, before: Path, models: Path, repeats: int) -> dict[str, float]:
    """Medians of this checkout and of another, which take turns, and their ratio."""
    took: dict[str, list[float]] = {"now": [], "before": []}
    for _ in range(2):
        for name, checkout in (("now", ROOT), ("before", before)):
            command = [sys.executable, __file__, "--child", str(models), "--methods", method]
            ended = subprocess.run(
                [*command, "--repeats", str(repeats)],
                env=os.environ | {"PYTHONPATH": str(checkout)},
                stdout=subprocess.PIPE,
                check=True,
            )
            took[name] += json.loads(ended.stdout)
    medians = {f"{name}_cpu_s": statistics.median(values) for name, values in took.items()}
    return medians | {"ratio": medians["now_cpu_s"] / medians["before_cpu_s"]}


def measure(method: str, sources: dict[str, Source], repeats: int) -> dict[str, Any]:
    row = candidates(method, sources, repeats)
    merge, took = recipe(method, sources), row["candidate_s"]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "recipe.yaml").write_text(dump_recipe(merge))
        evomerge = str(Path(sys.executable).parent / "evomerge")
        out = str(folder / "ours")
        row["process_s"], row["process_gib"] = process(
            [evomerge, "merge", str(folder / "recipe.yaml"), "--out", out, "--dtype", "bfloat16"]
        )
        if method != "tsvm":
            text = to_mergekit(merge)
            (folder / "mergekit.yaml").write_text(text)
            by_mergekit(text, folder)  # which loads what it needs
            shutil.rmtree(folder / "theirs")
            row["mergekit_s"] = by_mergekit(text, folder)
            shutil.rmtree(folder / "theirs")
            row["times_mergekit"] = row["mergekit_s"] / took
            mergekit = str(Path(sys.executable).parent / "mergekit-yaml")
            row["mergekit_process_s"], row["mergekit_process_gib"] = process(
                [mergekit, str(folder / "mergekit.yaml"), str(folder / "theirs")]
            )
            row["process_times"] = row["mergekit_process_s"] / row["process_s"]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--candidates", action="store_true", help="without processes and mergekit")
    parser.add_argument("--before", type=Path, help="another checkout to compare with")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child is not None:
        (method,) = given.methods
        print(json.dumps(cpu_of_candidates(method, given.child, given.repeats)))
        return
    how = candidates if given.candidates else measure
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        os.environ["EVOMERGE_STATISTICS"] = str(Path(place) / "statistics")
        sources = experts(Path(place) / "experts")
        if given.before is not None:
            for method in given.methods:
                experts_at = Path(place) / "experts"
                row = against(method, given.before.resolve(), experts_at, given.repeats)
                rows[method] = row
                print(
                    f"{method:<16}", "  ".join(f"{key} {value:.3g}" for key, value in row.items())
                )
            write("merge_before", {"threads": torch.get_num_threads(), "methods": rows})
            return
        for method in given.methods:
            row = rows[method] = how(method, sources, given.repeats)
            print(f"{method:<16}", "  ".join(f"{key} {value:.3g}" for key, value in row.items()))
            vectors = torch.backends.cpu.get_cpu_capability()
            name = f"merge_{vectors.lower()}" if given.candidates else "merge"
            about = {"vectors": vectors, "threads": torch.get_num_threads()}
            write(name, about | {"methods": rows})


if __name__ == "__main__":
    main()
