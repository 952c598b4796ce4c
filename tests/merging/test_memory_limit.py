"""What a container lets its processes use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from evomerge.merging.memory_limit import memory_limit

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("group", "files", "limit"),
    [
        ("", {}, MACHINE),
        ("0::/\n", {"memory.max": "4096"}, 4096),
        ("0::/a/b\n", {"a/b/memory.max": "max"}, MACHINE),
        ("0::/a/b\n", {"a/b/memory.max": "8192", "a/memory.max": "4096"}, 4096),
        ("0::/not/mounted\n", {"memory.max": "4096"}, 4096),
        (
            "5:cpu:/x\n4:memory:/docker/1\n",
            {
                "memory/docker/1/memory.limit_in_bytes": "2048",
                "memory/x/memory.limit_in_bytes": "1",
                "memory/memory.limit_in_bytes": str(1 << 62),
            },
            2048,
        ),
    ],
)
def test_the_least_limit_counts(
    tmp_path: Path, group: str, files: Mapping[str, str], limit: int
) -> None:
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "self" / "cgroup").write_text(group)
    for name, text in files.items():
        path = tmp_path / "sys" / "fs" / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    assert memory_limit(tmp_path) == limit


def test_this_process_has_a_limit() -> None:
    assert 0 < memory_limit() <= MACHINE
