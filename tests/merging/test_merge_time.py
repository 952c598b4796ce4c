"""What making tensors takes, and nothing of what is done with them."""

from __future__ import annotations

import time

import pytest

from evomerge.merging.merge_time import MergeTime

STEP_S = 0.02


def made(number: int) -> int:
    time.sleep(STEP_S)
    return number


def test_only_the_making_counts() -> None:
    taken = MergeTime()
    make = taken.counted(made)
    began = time.perf_counter()
    for number in range(3):
        assert make(number) == number
        time.sleep(STEP_S)
    whole = time.perf_counter() - began
    assert 3 * STEP_S <= taken.seconds <= whole - 3 * STEP_S


def test_what_fails_while_it_is_made_fails_and_has_taken_its_time() -> None:
    def broken() -> int:
        time.sleep(STEP_S)
        raise ZeroDivisionError

    taken = MergeTime()
    with pytest.raises(ZeroDivisionError):
        taken.counted(broken)()
    assert taken.seconds >= STEP_S
