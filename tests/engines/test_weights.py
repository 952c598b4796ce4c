"""What an engine lets through, and what it remembers as a fault."""

from __future__ import annotations

import pytest
import torch

from evomerge.engines.weights import Inspection
from evomerge.errors import CandidateError

SHAPES = {"a.weight": (2,), "positions": (3,), "mask": (2,)}
GOOD = {
    "a.weight": torch.ones(2),
    "positions": torch.arange(3),
    "mask": torch.tensor([True, False]),
}


def test_buffers_pass_in_their_own_type() -> None:
    inspection = Inspection(SHAPES, torch.float16, tied=False)
    passed = dict(inspection.passed(GOOD.items()))
    inspection.settle()
    assert passed["positions"].dtype == torch.int64
    assert passed["mask"].dtype == torch.bool
    assert passed["a.weight"].dtype == torch.float16


@pytest.mark.parametrize(
    ("name", "tensor", "said"),
    [
        ("positions", torch.arange(4), r"positions has shape \[4\]"),
        ("a.weight", torch.tensor([1.0, 1e6]), "not finite as torch.float16"),
        ("other", torch.ones(2), "not one of the model's"),
    ],
)
def test_a_fault_is_told_at_the_end(name: str, tensor: torch.Tensor, said: str) -> None:
    inspection = Inspection(SHAPES, torch.float16, tied=False)
    passed = dict(inspection.passed((GOOD | {name: tensor}).items()))
    assert passed.keys() == GOOD.keys() - {name}
    with pytest.raises(CandidateError, match=said):
        inspection.settle()
