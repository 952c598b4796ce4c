from __future__ import annotations

import pytest

from evomerge.errors import RecordError
from evomerge.study.candidate import RecordedStage, events, front, ranked
from tests.candidates import candidate


def test_events_stand_in_the_order_of_recording() -> None:
    late, early, open_ = (
        candidate(0, asked=0, told=4),
        candidate(1, asked=1, told=3),
        candidate(2, asked=2),
    )
    found = [(event.kind, event.candidate.number) for event in events([late, early, open_])]
    assert found == [("ask", 0), ("ask", 1), ("ask", 2), ("tell", 1), ("tell", 0)]


def test_stages_stand_among_asks_and_tells() -> None:
    def stage(ended: int) -> RecordedStage:
        return RecordedStage(
            part=f"{ended}",
            split="search",
            scored=1,
            worker="w",
            attempts=1,
            ended=ended,
            ended_s=0.0,
        )

    first = candidate(0, asked=0, stages=(stage(2), stage(4)), told=5)
    second = candidate(1, asked=1, stages=(stage(3),))
    order = [(e.kind, e.candidate.number, e.stages) for e in events([first, second])]
    assert order == [
        ("ask", 0, 0), ("ask", 1, 0), ("stage", 0, 1), ("stage", 1, 1), ("stage", 0, 2),
        ("tell", 0, 2),
    ]  # fmt: skip
    with pytest.raises(RecordError, match="should go on with number 2"):
        events([candidate(0, asked=0, stages=(stage(3),)), candidate(1, asked=1)])


@pytest.mark.parametrize("told", [1, 3])
def test_a_gap_or_a_double_is_a_record_error(told: int) -> None:
    with pytest.raises(RecordError, match="should go on with number 2"):
        events([candidate(0, asked=0, told=told), candidate(1, asked=1)])


def test_the_best_come_first_and_the_older_wins_a_tie() -> None:
    pool = [
        candidate(0, fitness=(0.2,)),
        candidate(1, fitness=(0.9,)),
        candidate(2),
        candidate(3, fitness=(0.9,)),
    ]
    assert [one.number for one in ranked(pool, 9)] == [1, 3, 0]
    assert [one.number for one in ranked(pool, 1)] == [1]


def test_several_objectives_are_ranked_by_fronts() -> None:
    pool = [
        candidate(0, fitness=(0.0, 0.0)),
        candidate(1, fitness=(1.0, 0.0)),
        candidate(2, fitness=(0.5, 0.0)),
        candidate(3, fitness=(0.0, 1.0)),
    ]
    assert [one.number for one in ranked(pool, 9)] == [1, 3, 2, 0]


@pytest.mark.parametrize("more", [(), (0.0,)])
def test_those_that_break_a_constraint_are_behind_all_others(more: tuple[float, ...]) -> None:
    pool = [
        candidate(0, fitness=(9.0, *more), violations=(0.5,)),
        candidate(1, fitness=(0.1, *more), violations=(-0.5,)),
        candidate(2, fitness=(8.0, *more), violations=(0.1,)),
        candidate(3, fitness=(0.2, *more), violations=(0.0,)),
    ]
    assert [one.number for one in ranked(pool, 9)] == [3, 1, 2, 0]


def test_the_front_is_what_no_other_beats_in_everything() -> None:
    pool = [
        candidate(0, fitness=(0.0, 1.0)),
        candidate(1, fitness=(1.0, 0.0)),
        candidate(2, fitness=(0.5, 0.0)),
        candidate(3, fitness=(0.0, 1.0)),
        candidate(4, fitness=(2.0, 2.0), violations=(0.1,)),
        candidate(5, fitness=(0.5, 0.5)),
        candidate(6),
    ]
    assert [one.number for one in front(pool)] == [0, 1, 5]
    assert front([candidate(0)]) == []
