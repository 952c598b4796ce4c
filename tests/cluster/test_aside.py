"""Who asks for a call is not held up by it, nor by one before it."""

from __future__ import annotations

import threading

from evomerge.cluster.aside import Aside


def test_calls_are_made_in_order_also_after_one_that_fails() -> None:
    made: list[int] = []
    aside = Aside()
    aside.call(lambda: made.append(1))
    aside.call(lambda: 1 / 0)
    aside.call(lambda: made.append(2))
    assert aside.finish(30)
    assert made == [1, 2]


def test_a_call_that_hangs_holds_nobody_up() -> None:
    released, aside = threading.Event(), Aside()
    aside.call(released.wait)
    assert not aside.finish(0.01)
    released.set()
    assert aside.finish(30)
