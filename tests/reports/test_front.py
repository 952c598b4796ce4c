"""The front of several objectives, and how much of their space it holds."""

from __future__ import annotations

from typing import Any

import pytest

from evomerge.reports.front import front_of
from evomerge.study.candidate import Candidate
from tests.candidates import candidate


def mark(number: int, **known: Any) -> Candidate:
    return candidate(number, proposed_by="landmark", proposal=None, **known)


POOL = [
    mark(0, fitness=(0.0, 2.0)),
    mark(1, fitness=(2.0, 0.0)),
    candidate(2, fitness=(1.0, 1.0)),
    candidate(3, fitness=(0.5, 0.5)),
    candidate(4, fitness=(9.0, 9.0), violations=(0.5,)),
    candidate(5),
]


def test_it_is_of_what_keeps_the_constraints_and_its_volume_is_above_the_worst() -> None:
    held = front_of(POOL)
    assert held is not None
    assert [member.number for member in held.members] == [0, 1, 2]
    assert (held.allowed, held.hypervolume, held.at_first) == (4, 1.0, 0.0)
    assert held.said() == (
        "Pareto front: 3 candidates of 4: 0, 1, 2; hypervolume 1 above the worst of each objective,"
        " 0 by the warm starts"
    )
    assert "0, 1 and 1 more;" in held.said(shown=2)


def test_of_many_objectives_no_volume_is_told() -> None:
    held = front_of([candidate(0, fitness=(1.0,) * 5)])
    assert held is not None
    assert held.hypervolume is None
    assert held.said() == "Pareto front: 1 candidate of 1: 0"


@pytest.mark.parametrize("pool", [[], [candidate(0)], [candidate(0, fitness=(1.0,))], POOL[4:]])
def test_where_there_is_none(pool: list[Candidate]) -> None:
    assert front_of(pool) is None
