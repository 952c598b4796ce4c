"""Freed memory is found again: in a process of its own, whose heap is as new."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from evomerge.merging.memory import empty

PROGRAM = """
import resource, torch
from evomerge.merging.memory import empty
SIZES = (331776, 9 << 20, 1000, 884736)  # elements of a model's tensors
def make():
    for size in SIZES:
        empty((size,), torch.bfloat16, torch.device("cpu")).fill_(1)
for _ in range(3):
    make()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    make()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.process
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc")
def test_tensors_take_no_fresh_pages_the_second_time() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert int(ended.stdout) < 100  # 49,000 pages are written


@pytest.mark.parametrize("shape", [(3, 5), (7,), (), (0, 2)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_it_is_an_ordinary_tensor(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    tensor = empty(shape, dtype, torch.device("cpu"))
    assert (tensor.shape, tensor.dtype) == (shape, dtype)
    assert tensor.is_contiguous()
    tensor.fill_(2)
    assert float(tensor.sum()) == 2 * tensor.numel()
