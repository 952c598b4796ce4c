"""RegMean, against the worked numbers of the method cards (17), and as the least squares it is."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from evomerge.errors import CandidateError
from tests.operators.applied import applied, close

GRAMS = [[[2.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [0.0, 4.0]]]
WEIGHTS = [[[1.0, 0.0], [0.0, 1.0]], [[3.0, 0.0], [0.0, 5.0]]]


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        (1.0, [[1.714286, -0.142857], [-1.142857, 4.428571]]),
        (0.9, [[1.704722, -0.126850], [-1.014799, 4.382664]]),
        (0.0, [[1.666667, 0], [0, 4.2]]),
    ],
)
def test_the_cards_numbers(alpha: float, expected: Any) -> None:
    assert close(applied("regmean", WEIGHTS, statistics=GRAMS, alpha=alpha, ridge=0.0), expected)


def test_outputs_are_nearest_to_all_experts() -> None:
    draws = torch.Generator().manual_seed(0)
    inputs = torch.randn(2, 50, 6, generator=draws).double()
    experts = torch.randn(2, 4, 6, generator=draws).double()
    grams = [(x.T @ x / len(x)).float() for x in inputs]
    options: dict[str, Any] = {"alpha": 1.0, "ridge": 0.0}
    merged = applied("regmean", experts, statistics=grams, **options).double()

    def distance(weight: torch.Tensor) -> float:
        pairs = zip(inputs, experts, strict=True)
        return sum(float((x @ (weight - own).T).square().sum()) for x, own in pairs)

    least = distance(merged)
    assert least < distance(experts.mean(0))
    for _ in range(20):
        step = torch.randn(4, 6, generator=draws).double() * 1e-2
        assert distance(merged + step) > least


def test_an_input_that_was_never_used_takes_the_mean() -> None:
    grams = [[[1.0, 0.0], [0.0, 0.0]], [[3.0, 0.0], [0.0, 0.0]]]
    found = applied("regmean", [[[1.0, 1.0]], [[5.0, 3.0]]], statistics=grams)
    assert close(found, [[4, 2]], 1e-3)
    nothing = applied("regmean", [[[1.0, 1.0]], [[5.0, 3.0]]], statistics=[torch.zeros(2, 2)] * 2)
    assert close(nothing, [[3, 2]])


def test_without_a_ridge_a_singular_sum_is_refused() -> None:
    with pytest.raises(CandidateError, match="raise ridge"):
        applied("regmean", WEIGHTS, statistics=[torch.zeros(2, 2)] * 2, ridge=0.0)


def test_weights_weigh_the_experts_inputs() -> None:
    each = [{"weight": 1.0}, {"weight": 0.0}]
    assert close(applied("regmean", WEIGHTS, each, statistics=GRAMS), WEIGHTS[0], 1e-3)


def test_what_is_no_linear_layer_is_the_mean() -> None:
    each = [{"weight": 1.0}, {"weight": 3.0}]
    assert close(applied("regmean", [[1.0, 2.0], [5.0, 2.0]], each), [4, 2])
