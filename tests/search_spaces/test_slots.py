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
    block: int = 1,
) -> Slots:
    return Slots(
        Pool(counts or {"a": 3, "b": 3}, order, block),
        repetitions=repetitions,
        first=first,
        last=last,
        ends_take_slots=ends_take_slots,
        max_hops=max_hops,
        jumps=jumps or Jumps(),
    )


def layers(of: Slots, *chosen: int) -> list[int]:
    path, _ = of.path([slot in chosen for slot in range(of.count)])
    return [step.place for step in path]


def pool(counts: dict[str, int], order: Order, block: int = 1) -> list[str]:
    return [str(one) for one in Pool(counts, order, block).blocks]


def test_the_pool_lies_input_after_input_or_depth_after_depth() -> None:
    assert pool({"b": 2, "a": 2}, "by_input") == ["b.0", "b.1", "a.0", "a.1"]
    by_depth = pool({"b": 2, "a": 2, "c": 2}, "by_depth")
    assert by_depth == ["a.0", "c.0", "b.0", "a.1", "c.1", "b.1"]


def test_inputs_of_other_depths_are_interleaved_by_their_share_of_the_depth() -> None:
    assert pool({"a": 2, "b": 4}, "by_depth") == ["b.0", "a.0", "b.1", "b.2", "a.1", "b.3"]
    assert Pool({"a": 2, "b": 4}, "by_depth").last == 4


def test_layers_come_in_blocks_the_last_of_which_may_be_shorter() -> None:
    assert pool({"a": 5, "b": 3}, "by_input", 2) == ["a.0-1", "a.2-3", "a.4", "b.0-1", "b.2"]
    assert pool({"a": 4, "b": 4}, "by_depth", 2) == ["b.0-1", "a.0-1", "b.2-3", "a.2-3"]


def test_a_path_consists_of_whole_blocks() -> None:
    of = Pool({"a": 5, "b": 3}, "by_input", 2)
    assert of.places([("a", 0), ("a", 1), ("b", 2), ("a", 4)]) == [0, 4, 2]
    assert of.places([("a", 0), ("b", 2)]) is None
    assert of.places([("a", 1)]) is None
    assert of.places([("c", 0)]) is None


def test_the_longest_path_counts_layers_and_passes_over_blocks_without_room() -> None:
    of = slots({"a": 5, "b": 3}, block=2, repetitions=1, first=False, max_hops=4)
    path, heeded = of.path([True] * 5)
    assert [step.place for step in path] == [0, 2, 2]  # two layers, one, and the forced last one
    assert heeded == [True, False, True, False, False]


def test_jumps_are_counted_from_the_last_layer_of_a_block() -> None:
    of = slots(
        {"a": 6, "b": 6}, order="by_depth", block=2, repetitions=1, jumps=Jumps(least=1, most=1)
    )
    assert layers(of, 2, 3) == [1, 2, 5]


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
    assert [step.place for step in path] == [0, 0, 1, 2]
    assert heeded == [True] * 2 + [False] * 10
    assert slots().max_hops == 14
    assert slots(max_hops=99).max_hops == 14


@pytest.mark.parametrize(
    ("jumps", "chosen", "path"),
    [
        (Jumps(most=1), (2, 4), [0, 4, 2]),  # a.2 is two ahead of a.0, b.1 is one
        (Jumps(least=0), (1, 3, 4), [0, 1, 4, 2]),  # b.0 is one back of a.1, b.1 at its depth
        (Jumps(least=1), (1, 3, 4), [0, 1, 2]),  # nor b.1, which is as deep as a.1
        (Jumps(least=1), (1, 2, 5), [0, 1, 2]),  # a.2 stands at the end, where b.2 cannot go
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
        assert any(runs), "a path without ends needs a slot"
        path, _ = of.path(runs)
        again = of.steps([step.place for step in path])
        assert again is not None
        assert [step.place for step in again] == [step.place for step in path]
        for early, step in zip(again, path, strict=True):
            assert (early.slot is None) == (step.slot is None)
            assert early.slot is None or step.slot is None or early.slot <= step.slot
        back, _ = of.path([slot in {one.slot for one in again} for slot in range(of.count)])
        assert back == again


def test_a_path_that_needs_more_repetitions_or_other_ends_has_no_slots() -> None:
    of = slots(repetitions=1)
    assert of.steps([0, 4, 3, 2]) is None
    assert of.steps([1, 4, 2]) is None
    assert of.steps([0, 4]) is None
    assert of.steps([0]) is None


def test_a_slot_is_named_by_repetition_input_and_layer() -> None:
    assert [slots().name(slot) for slot in (0, 4, 11)] == ["1:a.0", "1:b.1", "2:b.2"]
