"""What a listener hears, in which order, and that it may stop a search."""

from __future__ import annotations

from pathlib import Path

import pytest

import evomerge
from evomerge.cluster.base import Executor
from evomerge.config import Job
from evomerge.searching.progress import Progress, Scoring
from evomerge.study.candidate import Candidate
from evomerge.study.comparison import Comparison
from evomerge.study.record import Study
from tests.small_job import SmallJob


class Enough(evomerge.Listener):
    """Notes what it hears; at a candidate's number it has heard enough."""

    def __init__(self, number: int) -> None:
        self.number, self.heard, self.lines = number, list[str](), list[str]()

    def doing(self, what: str) -> None:
        self.heard.append(what)

    def started(self, job: Job, study: Study, executor: Executor) -> None:
        self.heard.append("started")

    def progressed(self, progress: Progress) -> None:
        self.heard.append("progressed")

    def told(self, candidate: Candidate) -> None:
        self.heard.append(f"told {candidate.number}")
        if candidate.number == self.number:
            self.stop("two are enough")

    def scored(self, scoring: Scoring) -> None:
        self.heard.append(f"scored {scoring.split}")

    def said(self, message: str) -> None:
        self.lines.append(message)

    def compared(self, comparison: Comparison) -> None:
        self.heard.append("compared")


def test_a_listener_stops_a_search_which_is_compared_all_the_same(
    small_job: SmallJob, tmp_path: Path
) -> None:
    listener = Enough(1)
    evomerge.search(small_job.path, tmp_path / "study", listener)
    distinct = list(dict.fromkeys(word for word in listener.heard if word != "progressed"))
    assert distinct == [
        "checking the job",
        "starting a worker in this process",
        "started",
        "told 0",
        "told 1",
        "scored validation",
        "scored holdout",
        "writing notes for optuna-dashboard",
        "compared",
        "closing the workers",
    ]
    assert "the search is over: two are enough" in listener.lines
    with Study.open(tmp_path / "study", write=False) as study:
        assert len(study.candidates()) == 2 < small_job.written["budget"]["candidates"]
        assert study.get("ended") == {"by": "listener", "said": "two are enough"}
        assert study.get("comparison")


def test_what_a_listener_raises_leaves_a_study_to_resume(
    small_job: SmallJob, tmp_path: Path
) -> None:
    class Broken(evomerge.Listener):
        def told(self, candidate: Candidate) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        evomerge.search(small_job.path, tmp_path / "study", Broken())
    listener = Enough(99)
    evomerge.resume(tmp_path / "study", listener)
    assert listener.heard[-2:] == ["compared", "closing the workers"]
    with Study.open(tmp_path / "study", write=False) as study:
        assert len(study.candidates()) == small_job.written["budget"]["candidates"]
