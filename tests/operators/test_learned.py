"""Learned coefficients, against the worked numbers of the method cards (26, 27)."""

from __future__ import annotations

import pytest
import torch

from tests.operators.applied import F5, applied, close, lam


def test_adamerging_holds_coefficients_to_the_unit_interval() -> None:
    found = applied("adamerging", F5, base=torch.ones(5), statistics=[[1.4], [-0.2], [0.3]])
    assert close(found + 1, [5.3, 0.6, 1.2, -0.2, -2])


def test_expert_merging_does_not() -> None:
    found = applied("expert_merging", F5, statistics=[[1.4], [-0.2], [0.3]])
    taus = torch.tensor(F5).float()
    assert close(found, 1.4 * taus[0] - 0.2 * taus[1] + 0.3 * taus[2])


def test_pieces_follow_each_other_in_the_flattened_tensor() -> None:
    ones = [[1.0] * 7]
    found = applied("expert_merging", ones, statistics=[[1.0, 2.0, 3.0]])
    assert close(found, [1, 1, 1, 2, 2, 2, 3])
    matrix = applied("expert_merging", torch.ones(1, 2, 3), statistics=[[1.0, 2.0]])
    assert close(matrix, [[1, 1, 1], [2, 2, 2]])


@pytest.mark.parametrize("method", ["adamerging", "expert_merging"])
def test_weights_and_lambda_are_factors(method: str) -> None:
    found = applied(method, F5[:1], [{"weight": 0.5}], statistics=[[0.8]], **lam(2.0))
    assert close(found, torch.tensor(F5[0]) * 0.8)
