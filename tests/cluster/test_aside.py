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
    assert aside.close(30)
    assert made == [1, 2]


def test_a_call_that_hangs_holds_nobody_up_and_none_comes_after_it() -> None:
    """Ray may be gone by then, and `ray.kill` starts one where there is none."""
    begun, released, over = threading.Event(), threading.Event(), threading.Event()
    made: list[int] = []
    aside = Aside()

    def hang() -> None:
        begun.set()
        released.wait()
        over.set()

    aside.call(hang)
    aside.call(lambda: made.append(1))
    assert begun.wait(30)
    assert not aside.close(0.01)
    released.set()
    assert over.wait(30)
    assert aside.close(30)
    assert made == []
