"""Bounded by bytes, the least recently used forgotten first."""

from __future__ import annotations

import numpy as np
import torch

from evomerge.merging.cache import Cache, nbytes
from evomerge.operators.selection import Magnitudes


def test_the_least_recently_used_goes_first() -> None:
    cache = Cache(limit=3 * nbytes(torch.zeros(100)))
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
    cache = Cache(limit=10)
    assert cache.get("a", lambda: torch.zeros(100)).shape == (100,)
    assert cache.get("b", lambda: 1.0) == 1.0
    assert cache.get("a", lambda: "forgotten") == "forgotten"


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
    cache = Cache(limit=2 * nbytes(torch.zeros(100)))
    for key in "ab":
        cache.get(key, lambda: torch.zeros(100))
    cache.drop(lambda key: key == "a")
    cache.get("c", lambda: torch.zeros(100))
    assert cache.get("b", lambda: "anew") != "anew"
    assert cache.get("a", lambda: "anew") == "anew"
