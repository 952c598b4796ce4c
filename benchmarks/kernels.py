"""Compiled kernels alone, in CPU time of one thread: what other work on the machine changes least.

    python benchmarks/kernels.py
    ATEN_CPU_CAPABILITY=avx2 TORCHINDUCTOR_CPP_MARCH=haswell python benchmarks/kernels.py

Three bfloat16 experts of eight million weights, and for TIES their base, are merged to bfloat16.
For each method:

- ns_per_element: the best of ten merges;
- share_of_copy: bytes of the inputs and of the result over that time, as a share of what a copy of
  as many bytes reaches in the same thread.

The second line has torch, its compiler and the C++ compiler use AVX2 alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch
from published import write

from evomerge.merging.compilation import Compilation
from evomerge.merging.fusion import Kind
from evomerge.merging.kernel import Passes, run, weighted_sum
from evomerge.operators import operators
from evomerge.operators.base import KernelPlan
from evomerge.operators.selection import Threshold

SIZE = 8_000_000
WEIGHTS = [0.5, 0.6, 0.7]
CUT = Threshold(0.005, SIZE // 2)
TIES = KernelPlan(
    numbers={"cut": [CUT] * 3, "weight": WEIGHTS, "lambda": [1.0]}, switches=(True, "mass")
)


def cpu_seconds(work: Callable[[], object]) -> float:
    """The least of ten times."""
    times = []
    for _ in range(10):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


def main() -> None:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(SIZE, generator=generator).bfloat16()
    experts = [
        (base.float() + 0.01 * torch.randn(SIZE, generator=generator)).bfloat16() for _ in WEIGHTS
    ]
    vectors: list[tuple[Kind, torch.Tensor | None]] = [("weights", expert) for expert in experts]
    merges = {
        "linear": (weighted_sum, KernelPlan(numbers={"coefficient": WEIGHTS}), None),
        "ties": (operators()["ties"].function, TIES, base),
    }
    passes = Passes(compilation=Compilation("1"))
    out = torch.empty_like(base)
    rows = {}
    for method, (kernel, plan, origin) in merges.items():
        merge = partial(run, kernel, plan, origin, vectors, torch.bfloat16, out=out, passes=passes)
        merge()  # compiled here
        streams = len(experts) + (origin is not None) + 1
        half = torch.ones(SIZE * streams // 2, dtype=torch.bfloat16)
        took, copied = cpu_seconds(merge), cpu_seconds(partial(torch.empty_like(half).copy_, half))
        rows[method] = {"ns_per_element": took / SIZE * 1e9, "share_of_copy": copied / took}
        print(method, rows[method])
    vectors_used = torch.backends.cpu.get_cpu_capability()
    results = {"vectors": vectors_used, "threads": 1, "methods": rows}
    write(f"kernels_{vectors_used.lower()}", results)


if __name__ == "__main__":
    main()
