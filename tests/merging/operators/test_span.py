"""Span operators against the worked numbers of the method cards (cards 1, 2, 5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from evomerge.errors import CandidateError
from evomerge.merging.operators import operators

BASE = np.ones(5)
TAUS = np.array([[4, -1, 2, 0, -3], [2, -3, 1, 5, 1], [1, 2, -6, -4, 0]], dtype=float)
EXPERTS = BASE + TAUS


def combined(
    name: str, vectors: Any, each: Sequence[dict[str, float]], **options: Any
) -> NDArray[Any]:
    """sum_i c_i v_i with the operator's coefficients."""
    operator = operators()[name]
    rows = np.asarray(vectors, dtype=float)
    shared = operator.signature.shared.model_validate(options)
    own = [operator.signature.each.model_validate(one) for one in each]
    return np.asarray(operator.function(rows @ rows.T, shared, own)) @ rows


def weights(*values: float) -> list[dict[str, float]]:
    return [{"weight": value} for value in values]


def test_linear_and_uniform_soup() -> None:
    assert combined("linear", EXPERTS, weights(0.5, 0.3, 0.2)) == pytest.approx(
        [3.8, 0, 1.1, 1.7, -0.2]
    )
    soup = [3.333333, 0.333333, 0, 1.333333, 0.333333]
    assert combined("linear", EXPERTS, weights(1, 1, 1)) == pytest.approx(soup, abs=1e-5)
    twice = combined("linear", EXPERTS, weights(1, 1, 0), normalize=False)
    assert twice == pytest.approx(EXPERTS[0] + EXPERTS[1])


def test_linear_refuses_weights_that_sum_to_zero_under_normalisation() -> None:
    with pytest.raises(CandidateError, match="sum to 0"):
        combined("linear", EXPERTS, weights(1, -1, 0))
    assert combined("linear", EXPERTS, weights(1, -1, 0), normalize=False) == pytest.approx(
        EXPERTS[0] - EXPERTS[1]
    )


def test_task_arithmetic() -> None:
    delta = combined("task_arithmetic", TAUS, weights(1, 1, 1), **{"lambda": 0.4})
    assert BASE + delta == pytest.approx([3.8, 0.2, -0.2, 1.4, 0.2])
    negated = combined("task_arithmetic", TAUS, weights(-0.5, 0, 0))
    assert BASE + negated == pytest.approx([-1, 1.5, 0, 1, 2.5])
    mean = combined("task_arithmetic", TAUS, weights(1, 1, 1), normalize=True)
    assert mean == pytest.approx(TAUS.mean(0))


def test_slerp() -> None:
    orthogonal = [[3, 0], [0, 4]]
    assert combined("slerp", orthogonal, [{}], t=0.5) == pytest.approx(
        [2.121320, 2.828427], abs=1e-5
    )
    assert combined("slerp", orthogonal, [{}], t=0.25) == pytest.approx(
        [2.771639, 1.530734], abs=1e-5
    )
    colinear = combined("slerp", [[1, 0], [1, 0.01]], [{}], t=0.5)
    assert colinear == pytest.approx([1, 0.005], abs=1e-7)


def test_slerp_of_a_zero_vector_is_the_chord() -> None:
    assert combined("slerp", [[0, 0], [0, 4]], [{}], t=0.25) == pytest.approx([0, 1])


def test_nuslerp_on_task_vectors() -> None:
    arc = combined("nuslerp", TAUS[:2], weights(1, 1))
    assert arc == pytest.approx([3.737357, -2.491571, 1.868678, 3.114464, -1.245786], abs=1e-5)
    around = combined("nuslerp", [[2, 0], [0, 4]], weights(0.5, 0.5))
    assert np.ones(2) + around == pytest.approx([2.414214, 3.828427], abs=1e-5)


def test_nuslerp_of_cancelling_weights_is_the_middle() -> None:
    assert combined("nuslerp", [[3, 0], [0, 4]], weights(1, -1)) == pytest.approx(
        combined("nuslerp", [[3, 0], [0, 4]], weights(1, 1))
    )


@given(st.floats(0, 1))
def test_slerp_is_equivariant_to_scale(t: float) -> None:
    for scale in (1e-4, 1e4):
        scaled = combined("nuslerp", scale * TAUS[:2], weights(1 - t, t))
        assert scaled == pytest.approx(scale * combined("nuslerp", TAUS[:2], weights(1 - t, t)))


@pytest.mark.parametrize("t", [0.0, 1.0])
def test_slerp_ends_at_its_inputs(t: float) -> None:
    assert combined("slerp", TAUS[:2], [{}], t=t) == pytest.approx(TAUS[int(t)], abs=1e-12)
