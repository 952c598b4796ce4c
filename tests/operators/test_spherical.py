"""Arcs and means on the sphere, against the worked numbers of the method cards (2, 3, 4)."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.operators.applied import F5, applied, close, weights

RIGHT = [[3, 0], [0, 4]]
"""Two vectors at a right angle."""


def test_slerp() -> None:
    assert close(applied("slerp", RIGHT, t=0.5), [2.121320, 2.828427])
    assert close(applied("slerp", RIGHT, t=0.25), [2.771639, 1.530734])
    assert close(applied("slerp", [[1, 0], [1, 0.01]], t=0.5), [1, 0.005], 1e-7)


def test_slerp_of_a_zero_vector_is_the_chord() -> None:
    assert close(applied("slerp", [[0, 0], [0, 4]], t=0.25), [0, 1])


@pytest.mark.parametrize("t", [0.0, 1.0])
def test_slerp_ends_at_its_inputs(t: float) -> None:
    assert close(applied("slerp", F5[:2], t=t), F5[int(t)])


def test_nuslerp_on_task_vectors() -> None:
    arc = applied("nuslerp", F5[:2], weights(1, 1))
    assert close(arc, [3.737357, -2.491571, 1.868678, 3.114464, -1.245786])
    around = applied("nuslerp", [[2, 0], [0, 4]], weights(0.5, 0.5))
    assert close(1 + around, [2.414214, 3.828427])


def test_nuslerp_of_cancelling_weights_is_the_middle() -> None:
    middle = applied("nuslerp", RIGHT, weights(1, 1))
    assert close(applied("nuslerp", RIGHT, weights(1, -1)), middle)


def test_nuslerp_row_by_row_is_nuslerp_of_each_row() -> None:
    one, two = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(1))
    rows = applied("nuslerp", [one, two], weights(1, 2), scope="row")
    for i in range(6):
        assert close(rows[i], applied("nuslerp", [one[i], two[i]], weights(1, 2)))
    whole = applied("nuslerp", [one[0], two[0]], weights(1, 2), scope="row")
    assert close(whole, rows[0])


def test_multislerp_is_mean_direction_times_mean_length() -> None:
    assert close(applied("multislerp", RIGHT, weights(0.5, 0.5)), [2.474874, 2.474874])
    assert close(applied("multislerp", RIGHT, weights(0.75, 0.25)), [3.083221, 1.027740])
    three = applied("multislerp", [*RIGHT, [3, 4]], weights(1, 1, 1))
    assert close(three, [2.657455, 2.989637])
    found = applied("multislerp", F5, weights(1, 1, 1))
    assert close(found, [5.610877, -1.865613, -1.291893, 1.240967, -1.854188])


def test_multislerp_of_opposite_directions_is_the_mean() -> None:
    assert close(applied("multislerp", [[1, 0], [-3, 0]], weights(1, 1)), [-1, 0])
    assert close(applied("multislerp", [[0, 0], [0, 0]], weights(1, 1)), [0, 0])


def test_karcher() -> None:
    assert close(applied("karcher", RIGHT), [2.474874, 2.474874])
    axes = [[1, 0, 0], [0, 2, 0], [0, 0, 3]]
    assert close(applied("karcher", axes), [1.154701] * 3)
    # Two of three at one place: a third of the way, which the mean direction is not.
    assert close(applied("karcher", [[1, 0], [1, 0], [0, 1]]), [0.866025, 0.5])
    assert close(
        applied("multislerp", [[1, 0], [1, 0], [0, 1]], weights(1, 1, 1)), [0.894427, 0.447214]
    )
    assert close(applied("karcher", [[0, 0], [0, 4]]), [0, 2])
    found = applied("karcher", F5)
    assert close(found, [5.564071, -1.705406, -2.008035, 0.997243, -1.647864])


def test_karcher_weights_are_relative_and_lead_along_the_arc() -> None:
    third = applied("karcher", [[1, 0], [0, 1]], weights(4, 2))
    assert close(third, [0.866025, 0.5])
    assert close(applied("karcher", [[1, 0], [0, 1]], weights(1, 0)), [1, 0])


@pytest.mark.parametrize("method", ["nuslerp", "multislerp", "karcher"])
@given(t=st.floats(0.01, 0.99), scale=st.sampled_from([1e-4, 1e4]))
def test_scale_equivariance(method: str, t: float, scale: float) -> None:
    vectors = torch.tensor(F5[:2], dtype=torch.float32)
    plain = applied(method, vectors, weights(1 - t, t))
    assert close(applied(method, vectors * scale, weights(1 - t, t)) / scale, plain, 1e-4)
