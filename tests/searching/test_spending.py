"""How many examples were scored, of those that whole evaluations would have taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from evomerge.searching.spending import Spending
from evomerge.study.candidate import Candidate, RecordedStage
from tests.searching.schedules.exam import candidate


def ended(state: Any, *scored: int, attempts: int = 1, cached: int = 0) -> Candidate:
    """`scored`: examples by the end of each stage, of which the first `cached` were there."""
    stages = tuple(
        RecordedStage(
            part="p",
            split="search",
            scored=count,
            worker="w",
            attempts=int(number >= cached),
            ended=1,
            ended_s=0.0,
        )
        for number, count in enumerate(scored)
    )
    return replace(candidate(0), state=state, stages=stages, attempts=attempts, told=1)


def test_parts_and_wholes_are_counted() -> None:
    whole, stopped, done = ended("done"), ended("stopped", 12), ended("done", 12, 48)
    assert Spending([whole, stopped, done]).said == "108 of 144 examples"


def test_what_costs_nothing_is_not() -> None:
    spent = Spending([ended("done", 12, 48), ended("done", attempts=0), ended("failed")])
    assert spent.said == "48 of 48 examples"


def test_where_no_schedule_gave_parts_nothing_is_said() -> None:
    assert Spending([ended("done"), ended("done")]).said == ""
    estimated = replace(ended("done", 12), estimated=(0.1,))
    assert Spending([ended("done"), estimated]).said == ""


def test_a_finalist_is_the_candidate_that_it_was_and_takes_the_rest() -> None:
    """Twelve examples at first, and 36 more when it is asked again."""
    first = replace(ended("done", 12), estimated=(0.1,))
    again = replace(ended("done", 12, 48, cached=1), proposed_by="finalist")
    assert Spending([first, ended("stopped", 12), again]).said == "60 of 96 examples"
