"""A family of whole tiny Llamas, which mergekit loads as it does large ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

LAYERS = 4


class Llamas:
    """a, b, c: siblings that moved from the base in part alike; opposite: away from a."""

    def __init__(self, folder: Path, dtype: torch.dtype = torch.bfloat16) -> None:
        self.folder = folder
        config = LlamaConfig(
            vocab_size=24,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=LAYERS,
            num_attention_heads=4,
            num_key_value_heads=2,
            tie_word_embeddings=False,
        )
        for name, seed, sign in (
            ("base", 0, 0),
            ("a", 1, 1),
            ("b", 2, 1),
            ("c", 3, 1),
            ("opposite", 1, -1),
        ):
            torch.manual_seed(0)
            model = LlamaForCausalLM(config)
            own, common = (torch.Generator().manual_seed(s) for s in (seed, 9))
            with torch.no_grad():
                for weight in model.parameters():
                    change = torch.randn(weight.shape, generator=own)
                    change += 3 * torch.randn(weight.shape, generator=common)
                    weight += sign * 0.05 * change
            model.to(dtype).save_pretrained(folder / name)


@pytest.fixture(scope="session")
def llamas(tmp_path_factory: pytest.TempPathFactory) -> Llamas:
    return Llamas(tmp_path_factory.mktemp("llamas"))


@pytest.fixture(scope="session")
def exact_llamas(tmp_path_factory: pytest.TempPathFactory) -> Llamas:
    """In float32, where no two changes are equally large: what is trimmed does not depend on the
    order of equal ones."""
    return Llamas(tmp_path_factory.mktemp("exact"), torch.float32)
