"""The order of examples: seeded, the same for all, with each task's share in every part."""

from __future__ import annotations

from typing import Any

from evomerge.searching.schedules.examples import ExampleOrder
from evomerge.searching.schedules.halving import HalvingConfig

SIZES = {"sums": 40, "words": 10, "aside": 30}


def order(seed: int = 0, **settings: Any) -> ExampleOrder:
    tasks = {"sums": 1.0, "words": 2.0, "aside": 0.0}
    return ExampleOrder(HalvingConfig(**settings), sizes=SIZES, tasks=tasks, seed=seed)


def test_parts_hold_what_came_before_and_together_are_all() -> None:
    order_, met = order(), dict[str, set[int]]()
    for before, end in ((0, 5), (5, 20), (20, 50)):
        part = order_.between(before, end)
        for task, places in part.items():
            assert list(places) == sorted(places)
            assert not met.setdefault(task, set()) & {*places}
            met[task] |= {*places}
        assert {task: tuple(sorted(places)) for task, places in met.items()} == order_.first(end)
    assert met == {"sums": {*range(40)}, "words": {*range(10)}}
    assert order_.total == 50


def test_each_task_has_its_share() -> None:
    for examples, expected in ((25, (20, 5)), (2, (1, 1)), (13, (10, 3))):
        part = order().first(examples)
        assert (len(part["sums"]), len(part["words"])) == expected


def test_a_seed_has_one_order() -> None:
    assert order(3).first(10) == order(3).first(10)
    assert order(3).first(10) != order(4).first(10)


def test_stages_end_with_whole_batches_and_have_each_task() -> None:
    assert order().rounded(12) == 12
    assert order().rounded(1) == 2
    assert order(batch=16).rounded(12) == 16
    assert order(batch=16).rounded(49) == 50
