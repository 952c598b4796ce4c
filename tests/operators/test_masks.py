"""Masked arithmetic: by selection, where compiled, and by arithmetic the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from evomerge.operators.masks import kept, nonzero, signed

VALUES = torch.tensor([3.0, -2.0, 0.0, -0.0, 1e-42, -1e30])
MASK = torch.tensor([True, False, True, False, True, False])


How = Callable[[Callable[..., Tensor]], Callable[..., Tensor]]


def eagerly(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return function


def traced(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """As a compiler reads it; what it reads runs without a compiler."""
    return torch.compile(function, backend="eager", fullgraph=True)


every = pytest.mark.parametrize("how", [eagerly, traced])


@every
def test_kept_is_the_value_or_zero_without_a_sign(how: How) -> None:
    found = how(kept)(VALUES, MASK)
    assert found.tolist() == [3.0, 0.0, 0.0, 0.0, pytest.approx(1e-42), 0.0]
    assert not bool(found.signbit().any())


@every
def test_a_number_is_kept_where_a_mask_is(how: How) -> None:
    assert how(kept)(torch.tensor(0.5), MASK).tolist() == [0.5, 0, 0.5, 0, 0.5, 0]


@every
def test_nonzero_leaves_all_but_zeros(how: How) -> None:
    found = how(nonzero)(torch.tensor([0.0, 1e-40, 2.5]))
    assert found.tolist() == [1.0, pytest.approx(1e-40), 2.5]


@every
def test_signed_turns_what_is_not_positive(how: How) -> None:
    assert torch.equal(how(signed)(VALUES, MASK), torch.where(MASK, VALUES, -VALUES))
