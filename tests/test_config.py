"""Jobs as studies keep them: what an older version wrote means the same today.

`tests/fixtures/jobs` holds three resolved jobs, one a search space, as they were written before
there was a registry of spaces.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evomerge.config import Job
from evomerge.value import parse

STORED = sorted((Path(__file__).parent / "fixtures" / "jobs").glob("*.json"))


def lost(before: Any, now: Any, key: str = "job") -> list[str]:
    """Where a value of before is another now; keys that came later do not count."""
    if isinstance(before, dict) and isinstance(now, dict):
        return [
            where for name in before for where in lost(before[name], now.get(name), f"{key}.{name}")
        ]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = enumerate(zip(before, now, strict=True))
        return [where for i, (old, new) in pairs for where in lost(old, new, f"{key}.{i}")]
    return [] if before == now else [key]


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_a_stored_job_is_read_as_it_was_written(path: Path) -> None:
    stored = json.loads(path.read_text())
    job = parse(Job, stored, origin=path.name)
    assert lost(stored, job.model_dump(mode="json")) == []
    assert parse(Job, job.model_dump(mode="json"), origin="again") == job


def test_there_is_a_stored_job_of_every_space() -> None:
    assert [path.stem for path in STORED] == ["dataflow", "parameter", "segments"]
