"""Optimizer moments that do not fit are refused by their own file's name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from evomerge.errors import SourceError
from evomerge.measuring.moments import read_moments
from evomerge.models.inventory import read_inventory
from tests.families import Family

UP = "model.layers.0.mlp.up_proj.weight"  # (16, 8)


@pytest.mark.parametrize(
    ("moments", "words"),
    [
        ({UP: torch.ones(8, 16)}, "has shape [8, 16]"),
        ({f"module.{UP}": torch.ones(16, 8)}, f"did you mean '{UP}'?"),
        ({UP: torch.full((16, 8), -1.0)}, "is negative somewhere"),
        ({UP: torch.full((16, 8), torch.inf)}, "is not finite"),
        ({UP: torch.ones(16, 8).half()}, "is float16"),
        ({}, "has no tensors"),
    ],
)
def test_refusals(family: Family, tmp_path: Path, moments: dict[str, Tensor], words: str) -> None:
    path = tmp_path / "v.safetensors"
    save_file(moments, path)
    with pytest.raises(SourceError) as caught:
        read_moments(path, read_inventory(Path(family.math.model)), rank1=False)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)
