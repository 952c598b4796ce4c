"""Arcee Fusion against numbers worked by hand."""

from __future__ import annotations

import math

import torch

from tests.operators.applied import applied, close, lam

BASE = [[0.0] * 8, [0.0] * 8]


def test_only_outliers_of_importance_are_taken_over() -> None:
    # In the first row one large change: KL(p || uniform) of that row is what all of it shares, so
    # the large change alone is far above the rest. The second row does not change: importance 0.
    tau = [[3.0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1], [0.0] * 8]
    assert close(applied("arcee_fusion", [tau], base=BASE), [[3.0, *[0.0] * 7], [0.0] * 8])
    halved = applied("arcee_fusion", [tau], base=BASE, **lam(0.5))
    assert close(halved, [[1.5, *[0.0] * 7], [0.0] * 8])


def test_the_threshold_is_of_elements_and_reached_by_equals() -> None:
    # Sorted importances of five elements: the places floor(q * 4) are 1, 2 and 3; all are equal
    # but the last, so median and threshold are theirs and every element is kept.
    row = torch.tensor([0.2, 0.2, 0.2, 0.2, 5.0])
    assert close(applied("arcee_fusion", [row], base=[0.0] * 5), row)
    # Eight elements: places 1, 3 and 5 of (1, 2, ..., 8) * KL are 2, 4 and 6: 4 + 1.5 * 4 = 10.
    steps = torch.arange(1.0, 9.0)
    assert close(applied("arcee_fusion", [steps], base=[0.0] * 8), [0.0] * 8)
    # And with 10 as the largest it is reached; KL is the row's, whatever it is.
    steps[-1] = 10.0001
    assert close(applied("arcee_fusion", [steps], base=[0.0] * 8), [*[0.0] * 7, 10.0001])


def test_importance_is_the_change_times_the_rows_divergence() -> None:
    # Equal changes in two rows, of which the second turns its distribution more: of one row of 2
    # the softmax of (1, 0) against (0, 0), of the other that of (1, -3) against (0, -3).
    base = torch.tensor([[0.0, 0.0]] * 7 + [[0.0, -3.0]])
    tau = torch.tensor([[1.0, 0.0]] * 8)
    kept = applied("arcee_fusion", [tau], base=base)
    divergence = [_kl((1, 0), (0, 0)), _kl((1, -3), (0, -3))]
    assert divergence[0] > divergence[1]
    # Places 3, 7 and 11 of the sixteen: 0, 0 or KL[1], KL[0]; none reaches beyond the whiskers.
    assert close(kept, torch.zeros(8, 2))


def _kl(new: tuple[float, float], old: tuple[float, float]) -> float:
    def softmax(values: tuple[float, float]) -> list[float]:
        total = sum(map(math.exp, values))
        return [math.exp(value) / total for value in values]

    return sum(p * math.log(p / q) for p, q in zip(softmax(new), softmax(old), strict=True))
