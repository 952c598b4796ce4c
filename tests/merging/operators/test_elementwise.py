"""TIES and DARE against the worked numbers of the method cards (cards 6, 7, 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from evomerge.merging.operators import operators
from evomerge.merging.selection import Threshold, generator

TAUS = [[4, -1, 2, 0, -3], [2, -3, 1, 5, 1], [1, 2, -6, -4, 0]]


@dataclass
class Looking:
    """Answers from the tensors themselves; a fixed mask where one is given."""

    taus: Sequence[Tensor]
    masks: dict[int, list[int]] = field(default_factory=dict)

    def keep_largest(self, i: int, density: float) -> Tensor:
        return Threshold.of(self.taus[i], density).mask(self.taus[i])

    def keep_random(self, i: int, keep: float) -> Tensor:
        if i in self.masks:
            return torch.tensor(self.masks[i], dtype=torch.bool)
        return torch.rand(self.taus[i].shape, generator=generator(0, "t", str(i))) < keep


def merged(
    name: str, taus: Any, each: Sequence[dict[str, float]], masks: Any = None, **options: Any
) -> list[float]:
    operator = operators()[name]
    rows = [torch.as_tensor(tau, dtype=torch.float32) for tau in taus]
    before = [row.clone() for row in rows]
    shared = operator.signature.shared.model_validate(options)
    own = [operator.signature.each.model_validate(one) for one in each]
    result: Tensor = operator.function(rows, shared, own, Looking(rows, masks or {}))
    assert all(torch.equal(one, old) for one, old in zip(rows, before, strict=True)), "not pure"
    return result.flatten().tolist()


def params(weights: Sequence[float], density: float = 1.0) -> list[dict[str, float]]:
    return [{"weight": weight, "density": density} for weight in weights]


def test_ties_with_exact_trim() -> None:
    assert merged("ties", TAUS, params([1, 1, 1], 0.4)) == [4, -3, -6, 5, -3]
    assert merged("ties", TAUS, params([1, 0.5, 2], 0.4)) == [4, -3, -6, -4, -3]


def test_ties_lambda_and_sum() -> None:
    assert merged("ties", TAUS, params([1, 1, 1], 0.4), **{"lambda": 2.0})[0] == 8
    assert merged("ties", [[2.0], [4.0]], params([1, 1]), normalize=False) == [6]
    assert merged("ties", [[2.0], [4.0]], params([1, 1])) == [3]


def test_a_negative_weight_does_not_undo_itself_under_normalisation() -> None:
    assert merged("ties", [[2.0]], params([-0.5])) == [-2]
    assert merged("ties", [[2.0]], params([0.5])) == [2]


def test_zero_task_vectors_never_vote() -> None:
    assert merged("ties", [[0.0, 3.0], [0.0, 1.0]], params([1, 1])) == [0, 2]
    assert merged("ties", [[0.0], [0.0]], params([1, 1], 0.5)) == [0]


def test_dare_rescales_by_density_or_to_the_same_l1_norm() -> None:
    mask = {0: [1, 1, 0, 0, 0]}
    one = params([1], 0.6)
    kept = merged("dare_linear", TAUS[:1], one, mask)
    assert kept == pytest.approx([6.666667, -1.666667, 0, 0, 0], abs=1e-5)
    assert merged("dare_linear", TAUS[:1], one, mask, rescale="l1") == pytest.approx(
        [8, -2, 0, 0, 0]
    )
    assert merged("dare_linear", TAUS[:1], one, mask, rescale="none") == [4, -1, 0, 0, 0]


def test_dare_of_density_one_is_task_arithmetic_and_dare_ties_is_ties_untrimmed() -> None:
    added = merged("dare_linear", TAUS, params([1, 0.5, 2]))
    assert added == pytest.approx([7, 1.5, -9.5, -5.5, -2.5])
    assert merged("dare_ties", TAUS, params([1, 0.5, 2]), normalize=True) == pytest.approx(
        merged("ties", TAUS, params([1, 0.5, 2]))
    )


def test_dare_keeps_the_expectation() -> None:
    tau = torch.ones(200_000)
    mean = torch.tensor(merged("dare_linear", [tau], params([1], 0.3))).mean()
    assert float(mean) == pytest.approx(1.0, abs=0.02)


@given(st.integers(1, 60), st.floats(0.01, 1.0), st.integers(0, 3))
def test_top_k_is_exact_whatever_repeats(size: int, density: float, levels: int) -> None:
    values = torch.randint(
        -levels, levels + 1, (size,), generator=generator(1, "v", str(size))
    ).float()
    kept = Threshold.of(values, density).mask(values)
    k = max(1, int(density * size + 1e-6))
    assert int(kept.sum()) == k
    order = sorted(range(size), key=lambda i: (-abs(float(values[i])), i))
    assert set(kept.nonzero().flatten().tolist()) == set(order[:k])


@pytest.mark.parametrize("name", ["ties", "dare_linear", "dare_ties"])
@pytest.mark.parametrize("density", [0.4, 1.0])
def test_order_of_the_experts_does_not_matter(name: str, density: float) -> None:
    fixed = {0: [1, 0, 1, 1, 0], 1: [0, 1, 1, 1, 1], 2: [1, 1, 0, 1, 1]}
    turned = {0: fixed[2], 1: fixed[0], 2: fixed[1]}
    one = merged(name, TAUS, params([1, 0.5, 2], density), fixed)
    two = merged(name, [TAUS[2], TAUS[0], TAUS[1]], params([2, 1, 0.5], density), turned)
    assert one == pytest.approx(two, abs=1e-5)


@pytest.mark.parametrize("name", ["ties", "dare_linear", "dare_ties"])
@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_scale_equivariance(name: str, scale: float) -> None:
    scaled = [[scale * x for x in tau] for tau in TAUS]
    masks = {i: [1, 0, 1, 1, 1] for i in range(3)}
    big = merged(name, scaled, params([1, 0.5, 2], 0.6), masks, normalize=True)
    small = merged(name, TAUS, params([1, 0.5, 2], 0.6), masks, normalize=True)
    assert [x / scale for x in big] == pytest.approx(small, rel=1e-4, abs=1e-4)


def test_masks_depend_on_seed_tensor_and_input_alone() -> None:
    def draw(*key: Any) -> list[float]:
        return torch.rand(8, generator=generator(*key)).tolist()

    assert draw(0, "w", "math") == draw(0, "w", "math")
    assert (
        len(
            {
                tuple(draw(*key))
                for key in [(0, "w", "a"), (1, "w", "a"), (0, "v", "a"), (0, "w", "b")]
            }
        )
        == 4
    )
