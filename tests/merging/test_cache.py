"""Bounded by bytes, the least recently used forgotten first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import numpy as np
import pytest
import torch

from evomerge.merging.cache import Cache, nbytes
from evomerge.operators.selection import Magnitudes


def test_the_least_recently_used_goes_first() -> None:
    cache = Cache(lambda: 3 * nbytes(torch.zeros(100)))
    asked: list[str] = []

    def ask(key: str) -> None:
        def compute() -> torch.Tensor:
            asked.append(key)
            return torch.zeros(100)

        cache.get(key, compute)

    for key in "abcabdab":
        ask(key)
    assert asked == ["a", "b", "c", "d"]
    ask("c")
    assert asked == ["a", "b", "c", "d", "c"]


def test_what_is_larger_than_the_bound_is_given_all_the_same() -> None:
    cache = Cache(lambda: 10)
    assert cache.get("a", lambda: torch.zeros(100)).shape == (100,)
    assert cache.get("b", lambda: 1.0) == 1.0
    assert cache.get("a", lambda: "forgotten") == "forgotten"


def test_a_cache_that_stays_empty_takes_no_share_from_others(tmp_path: Path) -> None:
    members = tmp_path / "caches"
    empty, used = Cache(members=members), Cache(members=members)
    used.get("a", lambda: 1.0)
    assert len(list(members.iterdir())) == 1
    empty.get("a", lambda: 1.0)
    assert len(list(members.iterdir())) == 2


def test_without_a_key_nothing_is_kept() -> None:
    cache = Cache()
    assert [cache.get(None, lambda i=i: i) for i in range(2)] == [0, 1]  # type: ignore[misc]


def test_sizes_are_those_of_the_arrays() -> None:
    tensor = torch.zeros(1000)
    assert 4000 <= nbytes(tensor) < 5000
    assert 8000 <= nbytes((tensor, tensor)) < 9000
    assert 8000 <= nbytes({"a": np.zeros(1000)}) < 9000
    assert nbytes(Magnitudes.of(torch.arange(1000.0))) > 12000
    assert nbytes(1.0) < 200


def test_what_is_dropped_is_computed_anew_and_makes_room() -> None:
    cache = Cache(lambda: 2 * nbytes(torch.zeros(100)))
    for key in "ab":
        cache.get(key, lambda: torch.zeros(100))
    cache.drop(lambda key: key == "a")
    cache.get("c", lambda: torch.zeros(100))
    assert cache.get("b", lambda: "anew") != "anew"
    assert cache.get("a", lambda: "anew") == "anew"


def test_threads_that_ask_for_one_key_compute_it_once() -> None:
    cache = Cache(lambda: 2 * nbytes(torch.zeros(100)))
    computed: list[int] = []
    together = Barrier(8)
    release = Event()

    def compute() -> torch.Tensor:
        computed.append(1)
        release.wait(60)
        return torch.zeros(100)

    def ask(_: int) -> torch.Tensor:
        together.wait(60)
        return cache.get("a", compute)

    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(ask, number) for number in range(7)]
        together.wait(60)
        assert cache.get("other", lambda: "at once") == "at once"
        release.set()
        tensors = [future.result() for future in asked]
    assert len(computed) == 1
    assert all(tensor is tensors[0] for tensor in tensors)
    cache.get("b", lambda: torch.zeros(100))  # counted once, "a" still leaves room for it
    assert cache.get("a", lambda: torch.ones(1)) is tensors[0]


def test_a_computation_that_fails_is_tried_again() -> None:
    cache = Cache(lambda: 1000)

    def fails() -> float:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cache.get("a", fails)
    assert cache.get("a", lambda: 1.0) == 1.0


def test_a_value_may_need_others_of_the_same_cache() -> None:
    cache = Cache(lambda: 1000)
    assert cache.get("a", lambda: cache.get("b", lambda: 1.0) + 1.0) == 2.0


def test_the_bound_is_asked_for_whenever_a_value_is_added() -> None:
    size = nbytes(torch.zeros(100))
    bounds = iter((3 * size, 3 * size, size))
    cache = Cache(lambda: next(bounds))
    for key in "abc":
        cache.get(key, lambda: torch.zeros(100))
    kept: list[object] = []

    def look(key: object) -> bool:
        kept.append(key)
        return False

    cache.drop(look)
    assert kept == ["c"]
