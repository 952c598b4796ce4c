from __future__ import annotations

import pickle

from evomerge.evaluators.answers import (
    LEAST_CHARACTERS,
    MOST_CHARACTERS,
    REPORT_CHARACTERS,
    Answer,
    room_for,
    shortened,
)
from evomerge.evaluators.base import Report, TaskScore

ANSWER = Answer(place=0, doc=7, target="4", answer="5", score=0.0, reason="wrong number")


def test_answers_of_a_report_share_its_room() -> None:
    assert room_for(0) == room_for(1) == room_for(500) == MOST_CHARACTERS
    assert room_for(1000) * 1000 == REPORT_CHARACTERS
    assert room_for(10**6) == LEAST_CHARACTERS


def test_a_long_answer_keeps_its_beginning_and_its_end() -> None:
    assert shortened("short", 5) == "short"
    text = "begin " + "x" * 1000 + " the answer is 7"
    short = shortened(text, LEAST_CHARACTERS)
    assert len(short) == LEAST_CHARACTERS
    assert short.startswith("begin x")
    assert " [...] " in short
    assert short.endswith("answer is 7")


def test_answers_cross_processes_and_are_not_in_a_reports_json() -> None:
    score = TaskScore(metric="exact", value=0.0, examples=(0.0,))
    report = Report(split="search", tasks={"sums": score}, answers={"sums": (ANSWER,)})
    assert pickle.loads(pickle.dumps(report)).answers == {"sums": (ANSWER,)}
    assert "answers" not in report.model_dump()
    plain = report.model_copy(update={"answers": {}})
    assert report.model_dump_json() == plain.model_dump_json()
