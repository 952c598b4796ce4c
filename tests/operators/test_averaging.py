"""Given weights, against the worked numbers of the method cards (1, 5, 6, 25)."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from evomerge.errors import CandidateError
from tests.operators.applied import F5, applied, close, lam, weights

EXPERTS = [[1 + x for x in tau] for tau in F5]


def test_linear_and_uniform_soup() -> None:
    assert close(applied("linear", EXPERTS, weights(0.5, 0.3, 0.2)), [3.8, 0, 1.1, 1.7, -0.2])
    soup = [3.333333, 0.333333, 0, 1.333333, 0.333333]
    assert close(applied("linear", EXPERTS, weights(1, 1, 1)), soup)
    assert close(applied("uniform_soup", EXPERTS), soup)
    twice = applied("linear", EXPERTS, weights(1, 1, 0), normalize=False)
    assert close(twice, torch.tensor(EXPERTS[0]) + torch.tensor(EXPERTS[1]))


def test_linear_refuses_weights_that_sum_to_zero_under_normalisation() -> None:
    with pytest.raises(CandidateError, match="sum to 0"):
        applied("linear", EXPERTS, weights(1, -1, 0))
    difference = applied("linear", EXPERTS, weights(1, -1, 0), normalize=False)
    assert close(difference, torch.tensor(EXPERTS[0]) - torch.tensor(EXPERTS[1]))


def test_task_arithmetic() -> None:
    scaled = applied("task_arithmetic", F5, weights(1, 1, 1), **lam(0.4))
    assert close(scaled, [2.8, -0.8, -1.2, 0.4, -0.8])
    mean = applied("task_arithmetic", F5, weights(1, 1, 1), normalize=True)
    assert close(mean, torch.tensor(F5, dtype=torch.float32).mean(0))


def test_negation_subtracts() -> None:
    assert close(applied("negate", F5[:1]) + 1, [-1, 1.5, 0, 1, 2.5])
    assert close(applied("negate", F5[:2], **lam(1.0)), [-6, 4, -3, -5, 2])


@pytest.mark.parametrize(
    ("metrics", "options", "expected"),
    [
        ((0.5, 0.4, 0.8), {"better": "lower"}, [0.347826, 0.434783, 0.217391]),
        ((0.5, 0.4, 0.8), {"better": "lower", "power": 2}, [0.338624, 0.529101, 0.132275]),
        ((0.5, 0.4, 0.8), {"better": "lower", "power": 4}, [0.278242, 0.679302, 0.042456]),
        ((100, 200, 300), {}, [0.166667, 0.333333, 0.5]),
        ((100, 200, 300), {"power": 2}, [0.071429, 0.285714, 0.642857]),
        ((100, 200, 300), {"power": 0}, [1 / 3, 1 / 3, 1 / 3]),
        ((100, 200, 300), {"power": 900}, [0, 0, 1]),
    ],
)
def test_metrics_weighted_averaging(
    metrics: tuple[float, ...], options: dict[str, Any], expected: list[float]
) -> None:
    each = [{"metric": metric} for metric in metrics]
    assert close(applied("mwa", torch.eye(3), each, **options), expected)
