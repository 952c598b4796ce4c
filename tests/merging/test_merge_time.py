"""What making tensors takes, and nothing of what is done with them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from evomerge.merging.merge_time import MergeTime

STEP_S = 0.02


def made() -> Iterator[int]:
    for number in range(3):
        time.sleep(STEP_S)
        yield number


def test_only_the_making_counts() -> None:
    taken = MergeTime()
    began = time.perf_counter()
    for _ in taken.counted(made()):
        time.sleep(STEP_S)
    whole = time.perf_counter() - began
    assert 3 * STEP_S <= taken.seconds <= whole - 3 * STEP_S


def test_what_fails_while_it_is_made_fails_and_has_taken_its_time() -> None:
    def broken() -> Iterator[int]:
        yield 1
        time.sleep(STEP_S)
        raise ZeroDivisionError

    taken = MergeTime()
    with pytest.raises(ZeroDivisionError):
        list(taken.counted(broken()))
    assert taken.seconds >= STEP_S
