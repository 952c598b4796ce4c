"""Pieces by importance, against the worked numbers of the method cards (26)."""

from __future__ import annotations

import pytest

from evomerge.measuring.allocation import allocated, importance, usable

ELEMENTS = {"p": 10, "q": 20, "r": 10}
SHARES = dict(zip(ELEMENTS, [0.111111, 0.518519, 0.370370], strict=True))


def test_importance() -> None:
    coefficients = [[0.1, 0.3, 0.2], [0.2, 0.1, 0.4]]
    found = importance(coefficients, [[1, 2, 1], [1, 1, 2]], list(ELEMENTS.values()))
    assert found == pytest.approx(list(SHARES.values()), abs=1e-6)
    assert importance([[0.0]], [[0.0]], [3]) == [1.0]


@pytest.mark.parametrize(("kappa", "expected"), [(1.0, [0, 1, 1]), (2.0, [0, 2, 1])])
def test_pieces(kappa: float, expected: list[int]) -> None:
    found = allocated(SHARES, ELEMENTS, budget=1.2, kappa=kappa)
    assert list(found.values()) == expected


@pytest.mark.parametrize(
    ("elements", "count", "expected"), [(5, 4, 3), (7, 3, 3), (3, 9, 3), (4, 1, 1), (4, 0, 0)]
)
def test_no_piece_is_empty(elements: int, count: int, expected: int) -> None:
    assert usable(elements, count) == expected
