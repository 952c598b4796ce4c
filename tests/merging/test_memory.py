"""Freed memory is kept: in a process of its own, since this one may keep it already."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, torch
from evomerge.merging.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
SIZES = (331776, 14 << 20, 1000, 884736)  # of a model's tensors, one beyond what glibc would keep
for size in 3 * SIZES:
    torch.ones(size)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for size in 5 * SIZES:
    torch.ones(size)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_large_tensors_take_no_fresh_pages_the_second_time() -> None:
    def faults(how: str) -> int:
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True
        )
        return int(ended.stdout)

    assert faults("keep") < 100
    assert faults("leave") > 5 * 100
