"""How much memory this process may use: the machine's, or less where a container says so.

A control group limits its processes together: version 2 by `memory.max`, version 1 by
`memory.limit_in_bytes`, each group within its parents'
(https://docs.kernel.org/admin-guide/cgroup-v2.html, "memory.max"; .../cgroup-v1/memory.html).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["memory_limit"]


def memory_limit(root: Path = Path("/")) -> int:
    """Bytes: the least of the machine's memory and the limits of all control groups.

    `root`: where `proc` and `sys` are.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_group_limits(root)])


def _group_limits(root: Path) -> Iterator[int]:
    groups = root / "sys" / "fs" / "cgroup"
    for path in _groups(root):
        for folder in (path, *path.parents):
            # In a container its own group may be mounted as the root: then the path is not there.
            for file in (
                groups / folder / "memory.max",
                groups / "memory" / folder / "memory.limit_in_bytes",
            ):
                try:
                    text = file.read_text().strip()
                except OSError:
                    continue
                if text.isdecimal():  # not "max", which is no limit
                    yield int(text)


def _groups(root: Path) -> list[Path]:
    """The groups that this process is in, without the leading slash; the root group always."""
    try:
        lines = (root / "proc" / "self" / "cgroup").read_text().splitlines()
    except OSError:
        lines = []
    fields = [line.split(":", 2) for line in lines]
    return [
        Path(),
        *(
            Path(path.lstrip("/"))
            for _, controllers, path in (field for field in fields if len(field) == 3)
            if not controllers or "memory" in controllers.split(",")
        ),
    ]
