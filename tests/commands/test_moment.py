"""What is said of a search at one moment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from evomerge.cluster.base import WorkerStatus
from evomerge.commands.moment import Moment, done_of, share_of, task_label, waited_for
from evomerge.searching.progress import Scoring
from tests.commands.moments import progress, worker

SCORING = Scoring(split="validation", done=1, total=3, models={"ab12": "candidate 9"})
NOWHERE = worker("0", "starting", where=None)
LOADING = worker("1", "starting", seconds=65)


@pytest.mark.parametrize(
    ("workers", "more", "said"),
    [
        ([], {"progress": None}, "starting Ray here (0:07)"),
        ([], {"scoring": SCORING}, "starting Ray here (0:07)"),  # or what is done in the end
        ([NOWHERE, NOWHERE], {}, "starting 2 workers: waiting for a place"),
        ([NOWHERE, LOADING], {}, "starting 1 worker: loading the model (1:05)"),
        ([LOADING, worker(task="3")], {}, "evaluating #3 (0:14)"),
        (
            [worker(task=str(i), seconds=i) for i in range(5)],
            {},
            "evaluating #0 (0:00), #1 (0:01), #2 (0:02) and 2 more",
        ),
        ([worker(task="7.1")], {}, "evaluating #7 (0:14)"),
        (
            [worker(task="ab12")],
            {"scoring": SCORING},
            "scoring candidate 9 (0:14) on the validation split",
        ),
        ([worker(state="idle")], {"scoring": SCORING}, "scoring on the validation split"),
        (
            [worker(task="4")],
            {"scoring": replace(SCORING, opponent="random search")},
            "scoring #4 (0:14) on the validation split, for random search",
        ),
        ([worker(state="idle")], {}, "choosing what to evaluate next"),
        ([worker(state="lost")], {}, "1 worker lost; another takes the place"),
        ([worker(task="3")], {"missing": "1 of 2 waits for a GPU"}, "1 of 2 waits for a GPU"),
    ],
)
def test_what_is_waited_for(workers: list[WorkerStatus], more: dict[str, Any], said: str) -> None:
    known: dict[str, Any] = {"progress": progress(), "doing": "starting Ray here", "doing_s": 7}
    assert waited_for(Moment(workers=workers, **(known | more))).text == said


def test_the_kind_stays_while_the_same_is_waited_for() -> None:
    at = Moment(progress=progress(), workers=[worker(task="3")])
    later = replace(at, workers=[worker(task="4", seconds=99)])
    assert waited_for(at).kind == waited_for(later).kind
    assert waited_for(at).kind != waited_for(replace(at, scoring=SCORING)).kind


def test_a_model_of_a_split_that_is_not_under_way_any_more() -> None:
    assert task_label(worker(task="f" * 64), SCORING) == "f" * 12


@pytest.mark.parametrize(
    ("more", "said", "share"),
    [
        ({}, "12 of 25 candidates", 12 / 25),
        ({"total": 1, "done": 1}, "1 of 1 candidate", 1),
        ({"total": None, "evaluations": 40}, "12 of 40 evaluations, 12 candidates", 12 / 40),
        ({"total": None, "limit_s": 500.0}, "12 candidates", 250 / 500),
        ({"total": None}, "12 candidates", None),
        # Whichever ends first.
        ({"limit_s": 300.0}, "12 of 25 candidates", 250 / 300),
        ({"limit_s": 100.0}, "12 of 25 candidates", 1),
    ],
)
def test_how_much_is_done(more: dict[str, Any], said: str, share: float | None) -> None:
    at = Moment(progress=progress(**more), seconds=250)
    assert done_of(at) == said
    assert share_of(at) == share


def test_how_much_of_a_split_is_done() -> None:
    at = Moment(progress=progress(), scoring=SCORING)
    assert done_of(at) == "validation: 1 of 3 models"
    finalists = replace(SCORING, noun="finalist")
    assert done_of(Moment(scoring=finalists)) == "validation: 1 of 3 finalists"
    opponents = replace(finalists, opponent="random search")
    assert done_of(Moment(scoring=opponents)) == "random search, validation: 1 of 3 finalists"
    assert share_of(at) == 1 / 3
    assert done_of(Moment()) == ""
    assert share_of(Moment()) is None
