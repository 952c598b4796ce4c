"""What an engine lets through, and what it remembers as a fault."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evomerge.engines.weights import Inspection, checkpoint_shapes
from evomerge.errors import CandidateError
from tests.families import tiny_tensors, write_model

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


def test_the_shapes_of_a_pool_are_those_of_a_model_of_its_depth(tmp_path: Path) -> None:
    """Each layer is like the folder's first."""
    folder = write_model(tmp_path / "m", tiny_tensors(0))
    own, pool = checkpoint_shapes(folder), checkpoint_shapes(folder, 5)
    tensors = tiny_tensors(0)
    assert own == {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    layers = [name for name in own if ".layers.0." in name]
    assert len(pool) == len(own) + 2 * len(layers)
    for name in layers:
        assert pool[name.replace(".0.", ".4.")] == own[name]
    assert checkpoint_shapes(folder, 1).keys() < own.keys()
