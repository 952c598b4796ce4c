"""A study that was recorded before candidates had stages: shown and resumed as it was then.

`tests/fixtures/study_without_stages` holds a search of `tests/sphere.py` by natural niches, cut off
after 13 of 20 candidates with two under way; `expected.json` what the version that made it showed,
and how it ended there when it was resumed.
"""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from evomerge.cluster.local import InProcess
from evomerge.commands.tables import study_as_data
from evomerge.study.record import Study
from tests.sphere import Sphere, Worker, make_optimizer, search

FROZEN = Path(__file__).parents[1] / "fixtures" / "study_without_stages"
EXPECTED = json.loads((FROZEN / "expected.json").read_text())


class Pair(InProcess):
    """Two workers that take what came first."""

    def __init__(self) -> None:
        super().__init__(partial(Worker, Sphere()))

    @property
    def free(self) -> int:
        return 2 - self.queued


def rows(study: Study) -> list[list[Any]]:
    """All that a candidate is, but for times and workers, as JSON would have it."""
    return [
        [
            c.number,
            c.proposed_by,
            c.label,
            c.proposal,
            list(c.genome),
            c.digest,
            c.state,
            c.fitness and list(c.fitness),
            dict(c.tasks),
            c.failure and c.failure.message,
            c.parentage and [c.parentage.version, list(c.parentage.parents)],
        ]
        for c in study.candidates()
    ]


def test_it_is_shown_as_before() -> None:
    with Study.open(FROZEN / "study", write=False) as study:
        assert rows(study) == EXPECTED["interrupted"]["candidates"]
        shown = json.loads(json.dumps(study_as_data(study, 3)))
        before = EXPECTED["interrupted"]["shown"]
        assert {key: shown[key] for key in before} == before, "keys may come, and none may change"


def test_it_is_resumed_as_before(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    shutil.copytree(FROZEN / "study", folder)
    optimizer = make_optimizer("natural_niches", mutation=0.05, archive=8)
    search(folder, candidates=20, executor=Pair(), optimizer=optimizer).close()
    with Study.open(folder, write=False) as study:
        assert rows(study) == EXPECTED["resumed"]["candidates"]
        assert [c.number for c in study.best(3)] == EXPECTED["resumed"]["best"]
