"""SLERP's angle."""

from __future__ import annotations

import math

import pytest

from evomerge.recipe.arc import PARALLEL, angle, cosine


def test_the_angle_between_two_vectors() -> None:
    assert angle(0.0, 2.0) == math.pi / 2
    assert angle(1.0, 2.0) == pytest.approx(math.pi / 3)
    assert cosine(2.0 + 1e-12, 2.0) == 1.0


def test_no_angle_where_interpolation_is_linear() -> None:
    assert angle(0.0, 0.0) is None
    assert angle(1.0, 1.0) is None
    assert angle(-1.0, 1.0) is None
    assert angle(math.cos(PARALLEL / 2), 1.0) is None
    assert angle(math.cos(PARALLEL * 100), 1.0) is not None


def test_no_angle_where_rounding_hides_it() -> None:
    assert angle(-1.0 + 1e-9, 1.0, error=2e-9) is None
    assert angle(1.0 - 1e-9, 1.0, error=2e-9) is None
    assert angle(-1.0 + 1e-9, 1.0, error=1e-10) is not None
