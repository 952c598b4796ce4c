"""Methods on factors: method cards 1, 2, 6a, 16c and, of the other group, 25."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from evomerge.errors import RecipeError
from evomerge.merging.bank import Bank
from evomerge.merging.context import BankContext
from evomerge.merging.vectors import Operands
from evomerge.models.anatomy import anatomy_of
from evomerge.operators import operators
from evomerge.operators.low_rank import LowRank
from tests.operators.applied import UP, Given, applied, close, weights

Each = Sequence[Mapping[str, Any]]


def change(a: Any, b: Any, scale: float = 1.0) -> LowRank:
    """Rows of A, and columns of B."""
    return LowRank(torch.tensor(a).float(), torch.tensor(b).float().T.contiguous(), scale)


def merged(
    method: str, factors: Sequence[LowRank], each: Each, *, seed: int = 0, **options: Any
) -> LowRank:
    operator = operators()[method]
    context = BankContext(
        bank=Bank([]),
        tensor=UP,
        place=anatomy_of([UP]).place(UP),
        names="abcdefgh"[: len(factors)],
        layers=1,
        seed=seed,
        shape=tuple(factors[0].dense().shape),
        whole=lambda: Operands(torch.zeros_like(factors[0].dense()), factors),
        keys=[None] * len(factors),
        everywhere=lambda i: iter([(UP, factors[i].dense())]),
        survey=list,
        statistics=lambda i: Given(None),
    )
    own = [operator.signature.each.model_validate(one) for one in each]
    shared = operator.signature.shared.model_validate(options)
    found: LowRank = operator.function(factors, shared, own, context)
    return found


def drawn(seed: int, rank: int, height: int = 6, width: int = 5) -> LowRank:
    draws = torch.Generator().manual_seed(seed)
    a = torch.randn(rank, width, generator=draws)
    return LowRank(a, torch.randn(height, rank, generator=draws), 0.5)


PAIR = [change([[1, 2]], [[1, 0]]), change([[0, 1]], [[1, 1]])]


def test_lorahub_has_cross_terms() -> None:
    assert close(merged("lorahub", PAIR, weights(0.5, -1)).dense(), [[-0.25, 0], [-0.5, 0]])
    changes = [one.dense() for one in PAIR]
    delta = applied("task_arithmetic", changes, weights(0.5, -1))
    assert close(delta, [[0.5, 0], [0, -1]])


def test_a_lone_adapter_subtracted_factor_by_factor_is_itself() -> None:
    (lone, _) = PAIR
    assert close(merged("lorahub", [lone], weights(-1)).dense(), lone.dense())
    assert close(applied("task_arithmetic", [lone.dense()], weights(-1)), -lone.dense())


def test_lorahub_keeps_rank_and_scale() -> None:
    found = merged("lorahub", [drawn(0, 3), drawn(1, 3)], weights(0.5, 0.5))
    assert (found.rank, found.scale) == (3, 0.5)


def test_an_adapter_that_leaves_the_tensor_alone_adds_nothing() -> None:
    one = drawn(0, 3)
    found = merged("lorahub", [LowRank.nothing(6, 5), one], weights(7, 0.5))
    assert close(found.dense(), 0.25 * one.dense())


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (drawn(1, 1), "'a' has rank 3 and scale 0.5, 'b' rank 1 and scale 0.5"),
        (LowRank(drawn(1, 3).a, drawn(1, 3).b, 2.0), "'b' rank 3 and scale 2"),
    ],
)
@pytest.mark.parametrize("method", ["lorahub", "mwa_factors"])
def test_other_ranks_and_scales_are_refused(method: str, other: LowRank, said: str) -> None:
    each = weights(1, 1) if method == "lorahub" else [{"metric": 1.0}] * 2
    with pytest.raises(RecipeError, match=said):
        merged(method, [drawn(0, 3), other], each)


def test_the_mean_of_factors_is_not_the_mean_of_products() -> None:
    run = [change([[1]], [[2]]), change([[3]], [[4]])]
    metrics = [{"metric": 1.0}] * 2
    assert close(merged("mwa_factors", run, metrics).dense(), [[6]])
    assert close(applied("mwa", [one.dense() for one in run], metrics), [[7]])


def test_factors_are_weighted_by_the_metric() -> None:
    run = [change([[1]], [[1]]), change([[2]], [[1]]), change([[4]], [[1]])]
    metrics = [{"metric": loss} for loss in (0.5, 0.4, 0.8)]
    shares = torch.tensor([0.338624, 0.529101, 0.132275])
    found = merged("mwa_factors", run, metrics, better="lower", power=2)
    assert close(found.a, [[float(shares @ torch.tensor([1.0, 2, 4]))]])
    assert close(found.b, [[1]])


def _fly(seed: int, trained: int) -> LowRank:
    """A frozen A with a quarter of its entries, and a dense B."""
    a = drawn(seed, 4, 8, 32).a * (torch.arange(32) % 4 == seed % 4)
    return LowRank(a, drawn(trained, 4, 8, 32).b, 2.0)


@pytest.mark.parametrize("method", ["lorahub", "mwa_factors"])
def test_frozen_sparse_projections_that_differ_are_refused(method: str) -> None:
    each = weights(0.5, 0.5) if method == "lorahub" else [{"metric": 1.0}] * 2
    with pytest.raises(RecipeError, match=r"75% of the A of 'a' are exact zeros.*FlyLoRA"):
        merged(method, [_fly(0, 0), _fly(1, 1)], each)
    with pytest.raises(RecipeError, match=r"the A of 'b'.*FlyLoRA"):
        merged(method, [drawn(2, 4, 8, 32), LowRank(_fly(1, 1).a, _fly(1, 1).b, 0.5)], each)


def test_one_frozen_projection_for_all_averages_exactly() -> None:
    both = [_fly(0, 0), _fly(0, 1)]
    found = merged("lorahub", both, weights(0.5, 0.5)).dense()
    assert close(found, (both[0].dense() + both[1].dense()) / 2)


LEGO = [
    change([[1, 0], [0, 1]], [[2, 0], [0, 1]]),
    change([[0, 0.6], [1.5, 0]], [[0.2, 1.4], [1, 0.2]]),
]
PLAIN = {"reweight_parameters": False, "reweight_output": False}


def _lego(factors: Sequence[LowRank], **options: Any) -> LowRank:
    return merged("lora_lego", factors, [{}] * len(factors), **options)


@pytest.mark.parametrize("feature", ["unit", "raw"])
@pytest.mark.parametrize("k", [{}, {"k": 2}, {"k": 2.4}])
def test_lego_of_two_by_two_ranks(feature: str, k: dict[str, float]) -> None:
    found = _lego(LEGO, feature=feature, **k)
    expected = [[1.458333, 0, 1.75, 0.116667], [0, 0.8, 0.1, 1.2]]
    atoms = torch.cat([found.a, found.b.T], 1)
    assert close(atoms[atoms[:, 0].argsort(descending=True)], expected)
    assert close(found.dense(), [[2.552083, 0.08], [0.170139, 0.96]])


def test_lego_of_one_rank() -> None:
    assert close(_lego(LEGO, k=1).dense(), [[2.4037, 1.5384], [1.9530, 1.2499]], 1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_all_ranks_without_reweighting_are_the_sum(seed: int) -> None:
    pool = [drawn(seed, 2), drawn(seed + 10, 3)]
    total = pool[0].dense() + pool[1].dense()
    for k in (5, 99):
        assert close(_lego(pool, k=k, **PLAIN).dense(), total)
    scaled = _lego(pool, k=5, reweight_parameters=False)
    assert close(scaled.dense(), total * (2.5 / 5) ** 0.5)  # the mean rank over k


def test_weights_scale_the_changes_and_may_subtract() -> None:
    found = merged("lora_lego", LEGO, weights(0.5, -1), k=4, **PLAIN)
    assert close(found.dense(), 0.5 * LEGO[0].dense() - LEGO[1].dense())
    assert merged("lora_lego", LEGO, weights(0, 1), k=4, **PLAIN).rank == 2


def test_the_rank_is_the_mean_where_it_is_left_out() -> None:
    assert _lego([drawn(0, 2), drawn(1, 3)]).rank == 3  # 2.5
    assert _lego([drawn(0, 2), drawn(1, 2), drawn(2, 3)]).rank == 2
    assert _lego([drawn(0, 4), LowRank.nothing(6, 5)]).rank == 4


def test_neither_the_order_nor_the_signs_of_ranks_matter() -> None:
    pool = [drawn(0, 3), drawn(1, 4)]
    turned = [
        LowRank(-one.a.flip(0), -one.b.flip(1), one.scale) if i else one
        for i, one in enumerate(pool)
    ]
    first = _lego(pool)
    assert torch.equal(first.a, _lego(turned).a)
    assert torch.equal(first.b, _lego(turned).b)
    assert torch.equal(first.dense(), _lego(pool[::-1]).dense())


def test_without_the_sign_fix_a_rank_and_its_mirror_image_cancel() -> None:
    mirrored = LowRank(-PAIR[0].a, -PAIR[0].b, 1.0)
    assert close(_lego([PAIR[0], mirrored], k=1, reweight_output=False).dense(), PAIR[0].dense())
    found = _lego([PAIR[0], mirrored], k=1, sign_fix=False)
    assert not bool(found.dense().any())


def test_what_remains_of_a_cancellation_is_not_blown_up() -> None:
    mirrored = LowRank(-PAIR[0].a * (1 + 4e-7), -PAIR[0].b * (1 + 4e-7), 1.0)
    assert float(_lego([PAIR[0], mirrored], k=1, sign_fix=False).dense().abs().max()) < 1e-5


def test_the_seed_is_the_recipes() -> None:
    pool = [drawn(0, 12), drawn(1, 12)]
    first = merged("lora_lego", pool, [{}] * 2, k=7)
    assert torch.equal(first.dense(), merged("lora_lego", pool, [{}] * 2, k=7).dense())
    others = [merged("lora_lego", pool, [{}] * 2, k=7, seed=seed).dense() for seed in range(1, 6)]
    assert any(not torch.equal(first.dense(), other) for other in others)


def test_nothing_to_pool_is_no_change() -> None:
    fresh = LowRank(drawn(0, 3).a, torch.zeros(6, 3), 1.0)
    found = _lego([fresh, LowRank.nothing(6, 5)])
    assert found.rank == 0
    assert found.dense().shape == (6, 5)


def test_a_module_of_atoms_keeps_its_shape() -> None:
    found: Tensor = _lego([drawn(0, 3), drawn(1, 3)]).dense()
    assert found.shape == (6, 5)
