"""A search as plain lines."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from evomerge.commands.lines import Lines
from evomerge.commands.moment import Moment
from evomerge.searching.progress import Scoring
from tests.commands.moments import candidate, progress, worker


class Written(Lines):
    """Lines that are kept."""

    def __init__(self) -> None:
        self._file = io.StringIO()
        super().__init__(Console(file=self._file, width=40), 0.0)

    @property
    def lines(self) -> list[str]:
        """What was printed, whole: nothing is wrapped."""
        return self._file.getvalue().splitlines()


NOTHING: dict[str, Any] = {"best": None, "leaders": (), "bests": (), "curve": ()}


@pytest.mark.parametrize(
    ("at", "line"),
    [
        (
            Moment(progress=progress(0, **NOTHING)),
            "0 of 25 candidates, nothing scored yet, 0:00",
        ),
        (
            Moment(progress=progress(failed=1), seconds=250, left_s=200),
            "12 of 25 candidates, best 0.5250 (#9), 1 failed, 4:10, about 3:20 left",
        ),
        (
            Moment(progress=progress(stopped=1, paused=2, failed=3), seconds=3675),
            "12 of 25 candidates, best 0.5250 (#9), 3 failed, 1 stopped, 2 paused, 1:01:15",
        ),
        (
            Moment(progress=progress(total=None, evaluations=40, evaluated=7), seconds=1),
            "7 of 40 evaluations, 12 candidates, best 0.5250 (#9), 0:01",
        ),
        (
            Moment(
                progress=progress(objectives=("fitness", "layers"), best=candidate(4, 0.5, -28.0))
            ),
            "12 of 25 candidates, best fitness 0.5000, layers 28 (#4), 0:00",
        ),
    ],
)
def test_a_line_where_a_candidate_has_ended(at: Moment, line: str) -> None:
    written = Written()
    written.update(at, 0.0)
    written.update(at, 1.0)  # nothing is new
    assert written.lines == [line]


def test_a_reason_of_failures_is_told_once_when_it_is_new() -> None:
    written = Written()
    reasons: dict[str, int] = {}
    for done, reason in enumerate(["too large", "too large", "not finite"], 1):
        reasons[reason] = reasons.get(reason, 0) + 1
        at = progress(done, failed=done, failures=dict(reasons), **NOTHING)
        written.update(Moment(progress=at), float(done))
    assert [line for line in written.lines if line.startswith("failed")] == [
        "failed: too large",
        "failed: not finite",
    ]
    assert len(written.lines) == 5


def test_what_workers_wait_for_is_said_once_until_it_is_over() -> None:
    written = Written()
    for missing in ("1 GPU", "1 GPU", None, "1 GPU"):
        written.update(Moment(missing=missing), 0.0)
    assert written.lines == ["waiting: 1 GPU"] * 2


def test_after_an_interruption() -> None:
    written = Written()
    written.update(Moment(progress=progress()), 0.0)
    for running in (2, 1):
        written.update(Moment(progress=progress(draining=True, running=running)), 1.0)
    assert written.lines[1:] == [
        "finishing 2 candidates under way; Ctrl-C again leaves them",
        "finishing 1 candidate under way; Ctrl-C again leaves them",
    ]


def test_a_line_for_each_model_of_a_split() -> None:
    written = Written()
    for split, done in (("validation", 0), ("validation", 1), ("validation", 1), ("holdout", 0)):
        scoring = Scoring(split=split, done=done, total=2, models={})  # type: ignore[arg-type]
        written.update(Moment(progress=progress(), scoring=scoring), 0.0)
    assert written.lines == [
        "validation: 0 of 2 models",
        "validation: 1 of 2 models",
        "holdout: 0 of 2 models",
    ]


def test_after_a_silence_it_is_said_what_is_waited_for() -> None:
    written = Written()
    starting = Moment(doing="starting Ray here", doing_s=5)
    for second in range(1, 50):
        written.beat(starting, float(second))
    assert written.lines == ["starting Ray here (0:05)"] * 2  # after 5 s, and 30 s later
    at = Moment(progress=progress(), workers=[worker(task="12")])
    written.update(at, 50.0)
    for second in range(50, 90):
        written.beat(at, float(second))
    assert written.lines[3:] == ["evaluating #12 (0:14)"] * 2  # at 55 and at 85
