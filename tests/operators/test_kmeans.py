"""Clusters found from inner products alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from evomerge.operators.kmeans import kmeans


def drawn(seed: int, n: int, width: int = 5) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal((n, width))


def spread(points: NDArray[np.float64], labels: NDArray[np.intp]) -> float:
    parts = [points[labels == one] for one in np.unique(labels)]
    return sum(float(((part - part.mean(0)) ** 2).sum()) for part in parts)


@pytest.mark.parametrize("seed", range(5))
def test_clouds_that_lie_apart_are_found(seed: int) -> None:
    centres = 50.0 * np.eye(4)
    truth = np.random.default_rng(seed).permutation(np.repeat(np.arange(4), 6))
    points = centres[truth] + drawn(seed, 24, 4)
    labels = kmeans(points @ points.T, 4, seed)
    assert len(set(zip(truth.tolist(), labels.tolist(), strict=True))) == 4


@given(seed=st.integers(0, 200), n=st.integers(2, 12), k=st.integers(1, 6))
@example(seed=0, n=60, k=6)
@example(seed=1, n=60, k=6)
def test_no_point_is_nearer_to_another_mean(seed: int, n: int, k: int) -> None:
    points = drawn(seed, n)
    labels = kmeans(points @ points.T, k, seed)
    count = min(k, n)
    assert sorted(set(labels.tolist())) == list(range(count))
    means = np.array([points[labels == one].mean(0) for one in range(count)])
    distances = ((points[:, None] - means) ** 2).sum(-1)
    own = distances[np.arange(n), labels]
    assert np.allclose(own, distances.min(1), rtol=1e-9, atol=1e-9)


@given(seed=st.integers(0, 50))
def test_the_best_of_some_starts_is_near_the_best_of_all(seed: int) -> None:
    points = drawn(seed, 7, 2)
    every = [np.array([i >> b & 1 for b in range(7)]) for i in range(1 << 6)]
    best = min(spread(points, labels) for labels in every)
    assert spread(points, kmeans(points @ points.T, 2, seed)) <= 1.25 * best


def test_the_same_seed_gives_the_same_clusters() -> None:
    points = drawn(1, 30)
    gram = points @ points.T
    first = kmeans(gram, 6, 7)
    assert np.array_equal(first, kmeans(gram, 6, 7))
    assert any(not np.array_equal(first, kmeans(gram, 6, seed)) for seed in range(8, 14))


def test_clusters_are_numbered_by_their_first_points() -> None:
    points = np.array([[9.0], [0.0], [9.1], [5.0], [0.1]])
    assert kmeans(points @ points.T, 3, 0).tolist() == [0, 1, 0, 2, 1]


def test_equal_points_leave_fewer_clusters() -> None:
    points = np.repeat(np.eye(2), 3, axis=0)
    assert kmeans(points @ points.T, 4, 0).tolist() == [0, 0, 0, 1, 1, 1]
    assert kmeans(np.zeros((3, 3)), 2, 0).tolist() == [0, 0, 0]


def test_as_many_clusters_as_points_are_the_points() -> None:
    assert kmeans(np.ones((3, 3)), 3, 0).tolist() == [0, 1, 2]
    assert kmeans(np.ones((3, 3)), 9, 0).tolist() == [0, 1, 2]
