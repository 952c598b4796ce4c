"""Exact top-k, whatever repeats."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from evomerge.operators.selection import Magnitudes, Threshold, count, global_thresholds


def repeating(size: int, levels: int) -> Tensor:
    draws = torch.Generator().manual_seed(size)
    return torch.randint(-levels, levels + 1, (size,), generator=draws).float()


def largest(values: list[float], k: int) -> set[int]:
    """By magnitude descending, then by index ascending."""
    return set(sorted(range(len(values)), key=lambda i: (-abs(values[i]), i))[:k])


@given(st.integers(1, 60), st.floats(0.01, 1.0), st.integers(0, 3))
def test_top_k_is_exact(size: int, density: float, levels: int) -> None:
    values = repeating(size, levels)
    cut = Threshold.of(values, density)
    kept = largest(values.tolist(), count(density, size))
    assert set(cut.mask(values).nonzero().flatten().tolist()) == kept
    # As a kernel does it: other limits before and behind the end.
    limits = torch.where(torch.arange(size) < cut.end, cut.below, cut.value)
    assert torch.equal(values.abs() > limits, cut.mask(values))


@given(st.integers(1, 40), st.floats(0.01, 1.0), st.integers(0, 3), st.integers(1, 3))
def test_top_k_over_several_tensors_is_exact(
    size: int, density: float, levels: int, tensors: int
) -> None:
    found = {f"t{i}": repeating(size + i, levels) for i in range(tensors)}
    cuts = global_thresholds(found.items, density)
    together = torch.cat(list(found.values()))
    kept = largest(together.tolist(), count(density, len(together)))
    masks = torch.cat([cuts[name].mask(values) for name, values in found.items()])
    assert set(masks.nonzero().flatten().tolist()) == kept


def test_a_matrix_keeps_its_shape() -> None:
    values = torch.tensor([[3.0, -1.0], [-3.0, 2.0]])
    assert Threshold.of_count(values, 2).mask(values).tolist() == [[True, False], [True, False]]


def test_a_table_serves_every_density_and_says_whether_it_is_small() -> None:
    coarse, fine = repeating(1000, 20), torch.randn(1000)
    assert Magnitudes.of(coarse).compact
    assert not Magnitudes.of(fine).compact
    for values in (coarse, fine):
        table = Magnitudes.of(values)
        for k in (1, 2, 500, 999, 1000):
            assert table.cut(k, values) == Threshold.of_count(values, k)


def test_the_limit_below_the_smallest_number_is_still_a_limit() -> None:
    tiny = torch.tensor([0.0, math.ulp(0.0)])
    cut = Threshold.of_count(tiny, 2)
    assert cut.mask(tiny).tolist() == [True, True]
    assert cut.below < 0
