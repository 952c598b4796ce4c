"""What a merge combines: stored weights, factors, and nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from evomerge.errors import CandidateError
from evomerge.merging.vectors import Operands, Wholes, require_finite
from evomerge.operators.low_rank import LowRank

DRAWS = torch.Generator().manual_seed(0)
BASE = torch.randn(7, 5, generator=DRAWS).bfloat16()
FULL = torch.randn(7, 5, generator=DRAWS).bfloat16()
LOW = LowRank(torch.randn(2, 5, generator=DRAWS), torch.randn(7, 2, generator=DRAWS), 0.5)
OPERANDS = Operands(BASE, [FULL, LOW, None])
CHANGES = [FULL.float() - BASE.float(), 0.5 * LOW.b @ LOW.a, torch.zeros(7, 5)]


@dataclass(frozen=True)
class Counted(Operands):
    """Operands that write down which changes they were asked for."""

    made: list[int] = field(default_factory=list)

    def whole(self, i: int) -> Tensor:
        self.made.append(i)
        return super().whole(i)


def test_wholes_are_changes_made_when_asked_for() -> None:
    operands = Counted(OPERANDS.origin, OPERANDS.vectors)
    found = Wholes(operands)
    assert (len(found), operands.made) == (3, [])
    assert torch.allclose(found[-2], CHANGES[1])
    assert found[1] is found[1]
    assert operands.made == [1]
    assert all(torch.allclose(one, other) for one, other in zip(found, CHANGES, strict=True))
    assert [torch.equal(one, other) for one, other in zip(found[:2], found, strict=False)]


def test_without_an_origin_they_are_the_weights() -> None:
    found = Wholes(Operands(None, [BASE, FULL]))
    assert torch.equal(found[1], FULL.float())
    found[1].zero_()
    assert bool(FULL.any())


@pytest.mark.parametrize("block", [1, 10, 1 << 18])
def test_factors_are_added_by_rows(block: int) -> None:
    operands = replace(OPERANDS, block=block)
    found = operands.summed([0.5, -2.0, 3.0], torch.float32)
    expected = BASE.float() + 0.5 * CHANGES[0] - 2.0 * CHANGES[1]
    assert torch.allclose(found, expected, atol=1e-6)
    assert operands.summed([1.0, 1.0, 1.0], torch.bfloat16).dtype == torch.bfloat16


def test_a_coefficient_a_row() -> None:
    coefficients = np.arange(21.0).reshape(3, 7)
    found = OPERANDS.summed_by_rows(coefficients)
    expected = BASE.float().clone()
    for change, rows in zip(CHANGES, coefficients, strict=True):
        expected += change * torch.tensor(rows, dtype=torch.float32)[:, None]
    assert torch.allclose(found, expected, atol=1e-4)


def test_coefficients_have_to_be_finite_in_float32() -> None:
    require_finite([0.0, -3e38])
    require_finite(np.ones((2, 3)))
    for wrong in ([1.0, float("nan")], [1e39], np.array([[1.0, np.inf]])):
        with pytest.raises(CandidateError, match="not finite in float32"):
            require_finite(wrong)
