"""Weights that follow from the task vectors: method cards 11, 14, 24."""

from __future__ import annotations

import pytest
import torch

from tests.operators.applied import F5, applied, close


def test_model_stock() -> None:
    assert close(1 + applied("model_stock", [[1, 0], [0.6, 0.8]]), [1.6, 1.3])
    found = applied("model_stock", [[1, 1, 0], [1, 0, 1], [0, 1, 1]])
    assert close(found, [0.5, 0.5, 0.5])


def test_model_stock_never_steps_away_from_the_experts() -> None:
    assert close(applied("model_stock", [[1, 0], [-0.6, 0.8]]), [0, 0])
    assert close(applied("model_stock", [[1, 0], [-1, 0]]), [0, 0])
    assert close(applied("model_stock", F5), [0] * 5)


def test_model_stock_row_by_row() -> None:
    experts = [[[1, 0], [1, 1]], [[0.6, 0.8], [1, 1]]]
    assert close(applied("model_stock", experts, scope="row"), [[0.6, 0.3], [1, 1]])


def test_model_stock_leaves_out_who_did_not_move() -> None:
    assert close(applied("model_stock", [[1, 0], [0.6, 0.8], [0, 0]])[0], 1.6 / 3 * 0.818182)
    assert close(applied("model_stock", [[0, 0], [0, 0]]), [0, 0])


def test_varm_weighs_by_energy() -> None:
    expected = [3.023622, 0.716535, -0.905512, 0.779528, 0.606299]
    assert close(1 + applied("varm", F5), expected)
    assert close(applied("varm", F5), applied("delta_weighted", F5, q="2", kappa=2.0))
    assert close(applied("varm", [[2, 0], [0, 0]]), [2, 0])


def test_delta_weighted_by_the_mean_change() -> None:
    expected = [3.2, 0.428571, -0.314286, 1.228571, 0.485714]
    assert close(1 + applied("delta_weighted", F5), expected)


@pytest.mark.parametrize("method", ["varm", "delta_weighted"])
def test_exponents_from_least_moved_to_most_moved(method: str) -> None:
    vectors = torch.diag(torch.tensor([1.0, 2.0, 4.0]))
    even = applied(method, vectors, kappa=0.0) / vectors.diagonal()
    assert close(even, [1 / 3] * 3)
    least = applied(method, vectors, kappa=-3.0) / vectors.diagonal()
    assert least[0] > least[1] > least[2]
    assert close(applied(method, vectors, kappa=60.0), [0, 0, 4])
    assert close(applied(method, torch.zeros(3, 3)), [0, 0, 0])


def test_the_largest_change_as_a_norm() -> None:
    shares = applied("delta_weighted", [[3, 3, 0], [0, 1, 0]], q="inf")
    assert close(shares, [2.25, 2.5, 0])
