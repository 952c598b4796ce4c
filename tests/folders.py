"""A test's folder in memory.

A study waits for the disk at every write, and a search writes hundreds of times: in memory a test
of that is five times as fast. Folders of tests that write so take this fixture over in their
`conftest.py`; those that write models do not.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")
ROOM_BYTES = 256 << 20


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """As pytest's, and pytest's own where there is no room in memory; removed after the test."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM_BYTES:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="evomerge-test-") as folder:
        yield Path(folder)
