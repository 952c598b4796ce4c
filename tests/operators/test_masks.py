"""Masked arithmetic: by selection, where compiled, and by arithmetic the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from evomerge.operators import masks
from evomerge.operators.masks import kept, nonzero, signed

VALUES = torch.tensor([3.0, -2.0, 0.0, -0.0, 1e-42, -1e30])
MASK = torch.tensor([True, False, True, False, True, False])


@pytest.fixture(params=[False, True], ids=["eager", "compiling"], autouse=True)
def _how(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masks, "_compiling", lambda: request.param)


def test_kept_is_the_value_or_zero_without_a_sign() -> None:
    found = kept(VALUES, MASK)
    assert found.tolist() == [3.0, 0.0, 0.0, 0.0, pytest.approx(1e-42), 0.0]
    assert not bool(found.signbit().any())


def test_a_number_is_kept_where_a_mask_is() -> None:
    assert kept(torch.tensor(0.5), MASK).tolist() == [0.5, 0, 0.5, 0, 0.5, 0]


def test_nonzero_leaves_all_but_zeros() -> None:
    assert nonzero(torch.tensor([0.0, 1e-40, 2.5])).tolist() == [1.0, pytest.approx(1e-40), 2.5]


def test_signed_turns_what_is_not_positive() -> None:
    assert torch.equal(signed(VALUES, MASK), torch.where(MASK, VALUES, -VALUES))
