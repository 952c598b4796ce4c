from __future__ import annotations

import random
import warnings
from collections.abc import Callable

import numpy as np
import pytest

from evomerge.optimizers.isolation import Isolation, quiet


def draw() -> tuple[float, float]:
    return random.random(), float(np.random.rand())


def test_rooms_do_not_disturb_each_other_nor_the_caller() -> None:
    with Isolation(1)():
        expected = [draw(), draw()]
    outside = draw_twice_around(lambda: None)
    one, two = Isolation(1), Isolation(2)
    found = []

    def disturb() -> None:
        with one():
            found.append(draw())
        with two():
            draw()
        with one():
            found.append(draw())

    assert draw_twice_around(disturb) == outside
    assert found == expected


def draw_twice_around(call: Callable[[], None]) -> list[tuple[float, float]]:
    random.seed(5)
    np.random.seed(5)
    first = draw()
    call()
    return [first, draw()]


def test_the_globals_come_back_after_an_error() -> None:
    def fail() -> None:
        with Isolation(1)():
            draw()
            raise RuntimeError

    def survive() -> None:
        with pytest.raises(RuntimeError):
            fail()

    assert draw_twice_around(survive) == draw_twice_around(lambda: None)


def test_quiet_takes_back_filters() -> None:
    before = list(warnings.filters)
    with quiet():
        warnings.warn("unheard", stacklevel=1)
        warnings.simplefilter("always")
    assert warnings.filters == before
