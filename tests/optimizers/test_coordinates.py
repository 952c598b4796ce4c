from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.conformance.optimizers import MIXED
from evomerge.optimizers.coordinates import from_cube, to_cube


@pytest.mark.parametrize(
    ("x", "category"), [(0.0, "linear"), (0.333, "linear"), (0.334, "ties"), (1.0, "slerp")]
)
def test_a_choice_takes_the_floor(x: float, category: str) -> None:
    assert from_cube(MIXED, np.array([x, 0.1, 0.2, 0.3, 0.0]))[0] == category


def test_the_outside_is_moved_to_the_face() -> None:
    point = np.array([1.1, -1e-12, 1 + 1e-12, 0.5, -0.1])
    assert from_cube(MIXED, point) == ("slerp", 0.0, 1.0, 0.5, "sum")


@given(st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_there_and_back_is_the_same_genome(point: list[float]) -> None:
    genome = from_cube(MIXED, np.array(point))
    assert from_cube(MIXED, to_cube(MIXED, genome)) == genome
