"""Grids and Gram matrices by cell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.recipe.grid import Grams, Grid


@given(st.integers(1, 500), st.integers(1, 64), st.lists(st.integers(-5, 600), max_size=6))
def test_cells_are_even_and_cut_where_blocks_begin(
    size: int, resolution: int, blocks: list[int]
) -> None:
    grid = Grid.regular(size, resolution=resolution, blocks=blocks)
    inside = {one for one in blocks if 0 <= one < size} | {0}
    assert set(grid.blocks) == inside
    assert (grid.edges[0], grid.edges[-1], grid.size) == (0, size, size)
    assert len(grid.edges) - 1 <= min(size, resolution) + len(inside) - 1
    assert max(np.diff(grid.edges)) <= -(-size // min(size, resolution))


def test_a_small_vector_has_a_cell_for_each_element() -> None:
    assert Grid.regular(7).edges == tuple(range(8))


def test_a_drawn_position_falls_to_the_edge_below() -> None:
    grid = Grid((0, 4, 10))
    assert [grid.below(position) for position in (0, 3, 4, 9, 10)] == [0, 0, 4, 4, 10]


@pytest.mark.parametrize("edges", [(0,), (1, 2), (0, 3, 3), (0, 5, 2)])
def test_edges_ascend_from_zero(edges: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="ascend from 0"):
        Grid(edges)


@pytest.mark.parametrize("blocks", [(0, 3), (0, 10)])
def test_blocks_begin_at_edges(blocks: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="begin at edges"):
        Grid((0, 4, 10), blocks)


def test_ranges_of_cells_have_the_gram_matrices_of_their_elements() -> None:
    vectors = np.random.default_rng(0).normal(size=(3, 50))
    grams = Grams.of(vectors, Grid.regular(50, resolution=10, blocks=(13, 44)))
    starts, ends = [0, 13, 20, 44], np.array([13, 20, 44, 45])
    found = grams.between(ends)
    assert found.shape == (4, 3, 3)
    for gram, start, end in zip(found, starts, ends, strict=True):
        np.testing.assert_allclose(
            gram, vectors[:, start:end] @ vectors[:, start:end].T, rtol=1e-12
        )


def test_a_small_range_keeps_its_digits_behind_a_large_one() -> None:
    vectors = np.array([[1e9, 1e9, 1e-3, 1e-3], [1e9, 0.0, 2e-3, 0.0]])
    grams = Grams.of(vectors, Grid.regular(4))
    np.testing.assert_allclose(grams.between(np.array([2, 4]))[1], [[2e-6, 2e-6], [2e-6, 4e-6]])


def test_where_cells_do_not_meet_is_refused() -> None:
    grams = Grams.of(np.ones((2, 10)), Grid((0, 4, 10)))
    with pytest.raises(ValueError, match="do not meet at 5; the nearest below is 4"):
        grams.between(np.array([5, 10]))
    with pytest.raises(ValueError, match="do not meet at 11"):
        grams.between(np.array([11]))


def test_a_matrix_for_each_cell_is_wanted() -> None:
    with pytest.raises(ValueError, match=r"2 cells need matrices of shape \(2, n, n\)"):
        Grams(Grid((0, 4, 10)), np.ones((3, 2, 2)))
