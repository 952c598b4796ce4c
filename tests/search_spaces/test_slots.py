"""Slots and paths: what runs, in which order, and what is passed over."""

from __future__ import annotations

import random

import pytest

from evomerge.search_spaces.slots import Jumps, Order, Pool, Slots, Step


def slots(
    counts: dict[str, int] | None = None,
    *,
    order: Order = "by_input",
    repetitions: int = 2,
    first: bool = True,
    last: bool = True,
    ends_take_slots: bool = False,
    max_hops: int | None = None,
    jumps: Jumps | None = None,
) -> Slots:
    return Slots(
        Pool(counts or {"a": 3, "b": 3}, order),
        repetitions=repetitions,
        first=first,
        last=last,
        ends_take_slots=ends_take_slots,
        max_hops=max_hops,
        jumps=jumps or Jumps(),
    )


def layers(of: Slots, *chosen: int) -> list[int]:
    path, _ = of.path([slot in chosen for slot in range(of.count)])
    return [step.layer for step in path]


def test_the_pool_lies_input_after_input_or_depth_after_depth() -> None:
    by_input = Pool({"b": 2, "a": 2}, "by_input").layers
    assert by_input == (("b", 0), ("b", 1), ("a", 0), ("a", 1))
    by_depth = Pool({"b": 2, "a": 2}, "by_depth").layers
    assert by_depth == (("b", 0), ("a", 0), ("b", 1), ("a", 1))


def test_inputs_of_other_depths_are_interleaved_by_their_share_of_the_depth() -> None:
    pool = Pool({"a": 2, "b": 4}, "by_depth")
    assert pool.layers == (("a", 0), ("b", 0), ("b", 1), ("a", 1), ("b", 2), ("b", 3))
    assert pool.layers[pool.last] == ("a", 1)


def test_forced_ends_stand_around_what_is_chosen() -> None:
    assert layers(slots()) == [0, 2]
    assert layers(slots(), 1, 4, 7) == [0, 1, 4, 1, 2]
    assert layers(slots(first=False, last=False), 1, 4) == [1, 4]


def test_a_path_is_never_empty() -> None:
    path, _ = slots(first=False, last=False).path([False] * 12)
    assert path == [Step(None, 0)]


def test_ends_take_slots_in_the_authors_decode_only() -> None:
    assert slots().count == 12
    assert slots(ends_take_slots=True).count == 10
    assert slots(ends_take_slots=True, last=False).count == 11


def test_the_longest_path_counts_the_ends_and_ignores_later_slots() -> None:
    short = slots(max_hops=4)
    path, heeded = short.path([True] * 12)
    assert [step.layer for step in path] == [0, 0, 1, 2]
    assert heeded == [True] * 2 + [False] * 10
    assert slots().max_hops == 14
    assert slots(max_hops=99).max_hops == 14


@pytest.mark.parametrize(
    ("jumps", "chosen", "path"),
    [
        (Jumps(most=1), (2, 4), [0, 4, 2]),  # a.2 is two ahead of a.0, b.1 is one
        (Jumps(least=0), (1, 3, 4), [0, 1, 4, 2]),  # b.0 is one back of a.1, b.1 at its depth
        (Jumps(least=1), (1, 3, 4, 5), [0, 1, 5, 2]),  # nor b.1, which is as deep as a.1
        (Jumps(between=False), (1, 3, 4, 7), [0, 1, 1, 2]),
    ],
)
def test_slots_that_would_jump_too_far_are_passed_over(
    jumps: Jumps, chosen: tuple[int, ...], path: list[int]
) -> None:
    assert layers(slots(jumps=jumps), *chosen) == path


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("last", [True, False])
def test_a_path_finds_its_earliest_slots(first: bool, last: bool) -> None:
    of = slots(first=first, last=last, repetitions=3)
    draw = random.Random(0)
    for _ in range(50):
        runs = [draw.random() < 0.4 for _ in range(of.count)]
        path, _ = of.path(runs)
        if not any(runs) and not (first or last):
            continue
        placed = of.place([step.layer for step in path])
        assert placed is not None
        again, _ = of.path([slot in placed for slot in range(of.count)])
        assert [step.layer for step in again] == [step.layer for step in path]
        for found, step in zip(placed, path, strict=True):
            assert (found is None) == (step.slot is None)
            assert found is None or step.slot is None or found <= step.slot


def test_a_path_that_needs_more_repetitions_or_other_ends_has_no_slots() -> None:
    of = slots(repetitions=1)
    assert of.place([0, 4, 3, 2]) is None
    assert of.place([1, 4, 2]) is None
    assert of.place([0, 4]) is None
    assert of.place([0]) is None
    assert slots(max_hops=3).place([0, 1, 1, 2]) is None


def test_a_slot_is_named_by_repetition_input_and_layer() -> None:
    assert [slots().name(slot) for slot in (0, 4, 11)] == ["1:a.0", "1:b.1", "2:b.2"]
