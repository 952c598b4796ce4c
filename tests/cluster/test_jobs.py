"""A submitted search is found by its id, or by its study's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from evomerge.cluster.jobs import STUDY, find_job
from evomerge.errors import UserError
from tests.service.local_jobs import LocalJobs


@pytest.fixture
def jobs(tmp_path: Path) -> LocalJobs:
    made = LocalJobs(tmp_path, "2.60.0")
    made.runs = False
    for id_, study in (("a-1", "a"), ("a-2", "a"), ("b-1", "b"), ("fetch-b-1-0", "")):
        made.submit(id_, "true", files=None, environment={}, metadata={STUDY: study})
    return made


@pytest.mark.parametrize(("named", "id_"), [("a", "a-2"), ("a-1", "a-1"), ("b", "b-1")])
def test_found(jobs: LocalJobs, named: str, id_: str) -> None:
    assert find_job(jobs, named).id == id_


@pytest.mark.parametrize("named", ["a-3", "fetch-b-1-0", ""])
def test_not_found(jobs: LocalJobs, named: str) -> None:
    with pytest.raises(UserError, match=f"^{named}: no such search at http://here:8265;"):
        find_job(jobs, named)
