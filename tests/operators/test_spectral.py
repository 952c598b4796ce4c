"""Singular values and vectors, against the worked numbers of the method cards (21, 22, 23, 28)."""

from __future__ import annotations

import math

import pytest
import torch

from tests.operators.applied import applied, close, weights

EMBEDDING = "model.embed_tokens.weight"


def diag(*values: float) -> torch.Tensor:
    return torch.diag(torch.tensor(values, dtype=torch.float32))


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_tsvm_makes_the_kept_directions_orthogonal() -> None:
    assert close(applied("tsvm", [diag(2, 1), torch.ones(2, 2)]), [[2, 0], [0, 2]])
    found = applied("tsvm", [diag(2, 1), [[0, 1], [0, 3]]])
    assert close(found, [[1.974175, 0.506541], [-0.320364, 3.121445]])


def test_tsvm_of_vectors_and_embeddings_is_the_mean() -> None:
    assert close(applied("tsvm", [[2, 0], [0, 4]]), [1, 2])
    pair = [random(4, 3, seed=1), random(4, 3, seed=2)]
    assert close(applied("tsvm", pair, tensor=EMBEDDING), (pair[0] + pair[1]) / 2)
    asked = applied("tsvm", pair, tensor=EMBEDDING, embeddings=True)
    assert close(asked, applied("tsvm", pair))


def test_tsvm_ignores_directions_that_a_low_rank_change_does_not_have() -> None:
    one = torch.outer(random(4, seed=1), random(4, seed=2))
    two = torch.outer(random(4, seed=3), random(4, seed=4))
    assert close(applied("tsvm", [one, two]), applied("tsvm", [one, two], keep=0.25))


def test_tsvm_scales_what_goes_in() -> None:
    pair = [random(4, 6, seed=1), random(4, 6, seed=2)]
    given = applied("tsvm", pair, weights(-2.0, 0.5))
    assert close(given, applied("tsvm", [pair[0] * -2, pair[1] * 0.5]))


def test_more_experts_than_directions() -> None:
    assert bool(applied("tsvm", [random(2, 2, seed=i) for i in range(5)]).isfinite().all())


def test_resm_of_no_exponents_is_tsvm() -> None:
    three = [random(9, 7, seed=i) for i in range(3)]
    assert close(applied("resm", three, kappa=0.0, gamma=0.0), applied("tsvm", three))


def test_resm_weighs_experts_by_their_outliers() -> None:
    quiet, loud = torch.tensor([[[1.0, 1, 1], [1, 1, 4]], [[0, 0, 0], [0, 0, 9]]])
    found = applied("resm", [loud, quiet], z=1.5, gamma=0.0)
    expected = applied("tsvm", [loud * 2 * 0.692308, quiet * 2 * 0.307692])
    assert close(found, expected, 1e-4)


def test_iso_c_makes_the_singular_values_equal() -> None:
    assert close(applied("iso_c", [[[3, 0], [0, 0]], [[0, 0], [0, 1]]]), [[2, 0], [0, 2]])
    assert close(applied("iso_c", [diag(2, 1), [[0, 3], [1, 0]]])[0], [0.5, 2], 1e-4)
    assert close(applied("iso_c", [diag(2, 1), [[0, 3], [1, 0]]])[1], [2, -0.5], 1e-4)


def test_iso_c_flattens_in_part() -> None:
    pair = [random(5, 4, seed=1), random(5, 4, seed=2)]
    assert close(applied("iso_c", pair, flatten=0.0), pair[0] + pair[1], 1e-4)
    half = torch.linalg.svdvals(applied("iso_c", pair, flatten=0.5))
    full = torch.linalg.svdvals(applied("iso_c", pair))
    none = torch.linalg.svdvals(pair[0] + pair[1])
    assert float(half.sum()) == pytest.approx(float(none.sum()), rel=1e-4)
    assert float(full.std()) < float(half.std()) < float(none.std())


def test_iso_c_of_a_low_rank_sum_does_not_spread_over_noise() -> None:
    one = torch.outer(random(6, seed=1), random(5, seed=2))
    assert close(applied("iso_c", [one, one]), 2 * one, 1e-4)


def test_iso_cts_gives_room_to_each_experts_own_directions() -> None:
    found = applied("iso_cts", [diag(6, 0, 2, 0), diag(0, 5, 0, 1)], common=0.5)
    assert close(found, 3.5 * torch.eye(4))


def test_iso_cts_with_all_directions_common_is_iso_c() -> None:
    pair = [random(6, 5, seed=1), random(6, 5, seed=2)]
    assert close(applied("iso_cts", pair, common=1.0), applied("iso_c", pair), 1e-4)


def test_opcm_as_worked_out() -> None:
    first, second = diag(4, 3, 1), [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    found = applied("opcm", [first, second], alpha=0.9)
    expected = [
        [3.240916, 0, 2.430687],
        [0, 2.430687, 4.861374],
        [5.671603, 6.481832, 0.810229],
    ]
    assert close(found, expected)
    assert float(found.norm()) == pytest.approx(10.990481, abs=1e-4)


def test_opcm_keeps_the_mean_norm_whatever_the_number_of_experts() -> None:
    four = [random(6, 5, seed=i) * (i + 1) for i in range(4)]
    found = applied("opcm", four)
    assert float(found.norm()) == pytest.approx(sum(float(t.norm()) for t in four) / 4, rel=1e-4)


def test_opcm_at_one_removes_the_whole_block() -> None:
    # Everything of the second lies in the basis of the first, so nothing is left to add.
    found = applied("opcm", [diag(4, 3, 1), random(3, 3)], alpha=1.0)
    scale = (float(diag(4, 3, 1).norm()) + float(random(3, 3).norm())) / 2 / math.sqrt(26)
    assert close(found, diag(4, 3, 1) * scale)


def test_opcm_leaves_what_is_outside_a_low_rank_change() -> None:
    first = torch.zeros(3, 3)
    first[0, 0] = 2.0
    second = diag(5, 6, 7)
    found = applied("opcm", [first, second])
    assert found[1, 1] / found[2, 2] == pytest.approx(6 / 7)
    assert found[0, 0] / found[1, 1] == pytest.approx(2 / 6)


def test_opcm_takes_experts_in_the_order_asked_for() -> None:
    three = [random(4, 4, seed=i) for i in range(3)]
    given = [{"order": 3}, {"order": 1}, {"order": 2}]
    plain = applied("opcm", [three[1], three[2], three[0]])
    assert close(applied("opcm", three, given), plain)


@pytest.mark.parametrize("method", ["tsvm", "resm", "iso_c", "iso_cts", "opcm"])
def test_nothing_comes_of_nothing(method: str) -> None:
    assert close(applied(method, torch.zeros(2, 4, 3)), torch.zeros(4, 3))
    one = applied(method, [torch.zeros(4, 3), random(4, 3)])
    assert bool(one.isfinite().all())
