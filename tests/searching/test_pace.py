"""How long a search still takes, as far as its pace tells."""

from __future__ import annotations

import pytest

from evomerge.searching.pace import Pace, work_of
from tests.commands.moments import progress


def test_the_pace_is_that_of_what_was_heard() -> None:
    pace = Pace()
    assert pace.left_s() is None
    pace.hear(progress(done=5, seconds=100.0))
    assert pace.left_s() is None, "nothing has come about since"
    pace.hear(progress(done=7, seconds=120.0))
    assert pace.left_s() == pytest.approx(180.0)
    assert pace.left_s(30.0) == pytest.approx(150.0)
    assert pace.left_s(1000.0) == 0.0


def test_a_budget_of_seconds_ends_by_the_clock() -> None:
    pace = Pace()
    pace.hear(progress(done=0, total=None, seconds=10.0, limit_s=60.0))
    assert pace.left_s() == 50.0


def test_a_budget_of_evaluations_is_counted_in_them() -> None:
    assert work_of(progress(done=7, evaluated=5, evaluations=30)) == (5, 30)
    assert work_of(progress(done=7)) == (7, 25)
