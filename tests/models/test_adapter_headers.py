"""What an adapter's headers say, and adapters that are refused by them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from evomerge.errors import SourceError
from evomerge.models.adapter_changes import FactorInfo
from evomerge.models.adapter_headers import CONFIG, WEIGHTS, read_adapter_inventory
from tests.families import write_adapter

Q = "model.layers.1.self_attn.q_proj"


def test_ranks_and_scales_by_weight(tmp_path: Path) -> None:
    factors = {
        Q: (torch.ones(2, 8), torch.ones(6, 2)),
        "other": (torch.ones(4, 8), torch.ones(3, 4)),
    }
    patterns = {"q_proj": 6}
    folder = write_adapter(
        tmp_path / "a", factors, alpha_pattern=patterns, rank_pattern={"other": 4}, lora_alpha=4
    )
    found = read_adapter_inventory(folder).changes
    assert list(found) == [f"{Q}.weight", "other.weight"]
    keys = (f"base_model.model.{Q}.lora_A.weight", f"base_model.model.{Q}.lora_B.weight")
    assert found[f"{Q}.weight"] == FactorInfo(*keys, rank=2, scale=3.0, shape=(6, 8))
    other = found["other.weight"]
    assert isinstance(other, FactorInfo)
    assert other.scale == 1.0


def test_factors_that_do_not_fit(tmp_path: Path) -> None:
    odd = {Q: (torch.ones(2, 8), torch.ones(6, 3))}
    with pytest.raises(SourceError, match=f"the factors of '{Q}' do not fit each other"):
        read_adapter_inventory(write_adapter(tmp_path / "odd", odd))
    convolution = {Q: (torch.ones(2, 8, 3, 3), torch.ones(6, 2, 3, 3))}
    with pytest.raises(SourceError, match="do not fit each other"):
        read_adapter_inventory(write_adapter(tmp_path / "convolution", convolution))


def test_a_configuration_without_alpha(tmp_path: Path) -> None:
    factors = {Q: (torch.ones(2, 8), torch.ones(6, 2))}
    with pytest.raises(SourceError, match="lora_alpha is None, not a number"):
        read_adapter_inventory(write_adapter(tmp_path / "a", factors, lora_alpha=None))


def test_a_factor_that_stands_twice(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "a", {Q: (torch.ones(2, 8), torch.ones(6, 2))})
    tensors = load_file(folder / WEIGHTS)
    key = f"base_model.model.{Q}.lora_A"
    save_file(tensors | {f"{key}.default.weight": torch.zeros(2, 8)}, folder / WEIGHTS)
    with pytest.raises(SourceError, match="are the same factor"):
        read_adapter_inventory(folder)


@pytest.mark.parametrize(
    ("text", "what"), [("{", "not valid JSON"), ("[]", "expected a mapping of keys")]
)
def test_a_configuration_that_is_none(tmp_path: Path, text: str, what: str) -> None:
    folder = write_adapter(tmp_path / "a", {Q: (torch.ones(2, 8), torch.ones(6, 2))})
    (folder / CONFIG).write_text(text)
    with pytest.raises(SourceError, match=what):
        read_adapter_inventory(folder)


def test_a_folder_that_is_no_adapter(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no adapter_config\.json"):
        read_adapter_inventory(tmp_path)
