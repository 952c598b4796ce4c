"""Merging a model that is larger than what the merge may hold: seconds and memory of the process.

    python benchmarks/streaming.py [--methods linear ties] [--layers 20]

Three experts and their base, Llama-shaped, 4096 wide, bfloat16, as sparse files that take no disk.
For each method `evomerge merge` runs as a process, and while it runs the kernel is asked what is
resident: anonymous memory, which is the process's own, and mapped pages of the parents' files,
which the kernel can take back. Reading a hole costs less than reading a disk: the seconds are those
of the merge and of writing its result.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from published import write
from sparse import llama, write_sparse_model

from evomerge.models.tensor_types import TensorSpec
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Rule
from evomerge.recipe.yaml import dump_recipe

EXPERTS = ("a", "b", "c")
EACH: dict[str, dict[str, float]] = {
    "linear": {"weight": 0.5},
    "task_arithmetic": {"weight": 0.5},
    "ties": {"weight": 0.5, "density": 0.4},
}
PARTS = {"VmRSS": "total", "RssAnon": "anonymous", "RssFile": "files"}
POLL_S = 0.02
MIB = 1 << 20


def recipe(method: str, folder: Path) -> Merge:
    base = None if method == "linear" else "base"
    names = ([base] if base else []) + list(EXPERTS)
    return Merge(
        method=method,
        base=base,
        inputs={name: Source(model=str(folder / name)) for name in names},
        rules=(Rule(inputs=dict.fromkeys(EXPERTS, EACH[method])),),
    )


def measured(command: list[str]) -> tuple[float, float, dict[str, float]]:
    """Seconds, those of the CPU, and the most MiB of each part that were resident, every 20 ms."""
    began, used = time.perf_counter(), _cpu_seconds()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peaks = dict.fromkeys(PARTS.values(), 0.0)
    while child.poll() is None:
        for part, mib in _resident(child.pid).items():
            peaks[part] = max(peaks[part], mib)
        time.sleep(POLL_S)
    took = time.perf_counter() - began
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return took, _cpu_seconds() - used, peaks


def _cpu_seconds() -> float:
    """Of all processes that this one has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _resident(pid: int) -> dict[str, float]:
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        status = dict(line.split(":", 1) for line in lines)
        return {p: int(status[k].split()[0]) / 1024 for k, p in PARTS.items() if k in status}
    return {}


def measure(method: str, folder: Path, specs: list[TensorSpec]) -> dict[str, Any]:
    text = folder / "recipe.yaml"
    text.write_text(dump_recipe(recipe(method, folder)))
    out = folder / "out"
    evomerge = str(Path(sys.executable).parent / "evomerge")
    took, used, peaks = measured([evomerge, "merge", str(text), "--out", str(out)])
    shutil.rmtree(out)
    largest = max(spec.size for spec in specs) / MIB
    return {
        "seconds": took,
        "cpu_seconds": used,
        "peak_mib": peaks,
        "anonymous_times_largest": peaks["anonymous"] / largest,
        "written_gb_per_s": sum(spec.size for spec in specs) / took / 1e9,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", default=list(EACH), choices=list(EACH))
    parser.add_argument("--layers", type=int, default=20)
    given = parser.parse_args()
    specs = llama(hidden=4096, inner=11008, layers=given.layers, vocabulary=32000)
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as place:
        folder = Path(place)
        for seed, name in enumerate(("base", *EXPERTS)):
            write_sparse_model(folder / name, specs, seed=seed or None)
        model = {
            "parameters": sum(spec.size for spec in specs) // 2,
            "mib": sum(spec.size for spec in specs) / MIB,
            "largest_tensor_mib": max(spec.size for spec in specs) / MIB,
        }
        for method in given.methods:
            row = rows[method] = measure(method, folder, specs)
            print(f"{method:<16}", row)
            write("streaming", {"model": model, "methods": rows})


if __name__ == "__main__":
    main()
