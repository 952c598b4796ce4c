"""A base and two experts of 100,000 parameters that transformers loads, and texts for them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from evomerge.conformance.tiny_models import build
from evomerge.measuring.live import Live, open_live
from evomerge.merging.bank import Bank
from evomerge.recipe.source import Source
from tests.families import write_adapter

WORDS = {"math": "one and two make three; ", "json": '{"a": [1, 2], "b": null} '}
QUERY = "model.layers.1.self_attn.q_proj"


class Trained:
    """base, math and json (full), lora (an adapter on base); a text for each expert."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        base = build(folder / "base", seed=0)
        self.base = Source(model=str(base))
        self.math, self.json = (self._expert(base, name, n) for n, name in enumerate(WORDS, 1))
        draws = torch.Generator().manual_seed(7)
        factors = (torch.randn(2, 64, generator=draws), torch.randn(128, 2, generator=draws))
        write_adapter(folder / "lora", {QUERY: factors})
        self.lora = Source(model=str(base), adapter=str(folder / "lora"))
        self.texts = {name: folder / f"{name}.jsonl" for name in WORDS}
        for name, path in self.texts.items():
            rows = [{"text": WORDS[name] * (2 + number)} for number in range(3)]
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def _expert(self, base: Path, name: str, seed: int) -> Source:
        shutil.copytree(base, self.folder / name)
        draws = torch.Generator().manual_seed(seed)
        tensors = load_file(base / "model.safetensors")
        for _, tensor in sorted(tensors.items()):
            tensor += torch.randn(tensor.shape, generator=draws) * 0.1 * float(tensor.std() or 0.1)
        save_file(tensors, self.folder / name / "model.safetensors", metadata={"format": "pt"})
        return Source(model=str(self.folder / name))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    torch.set_num_threads(1)
    return Trained(tmp_path_factory.mktemp("trained") / "models")


@pytest.fixture
def live(trained: Trained) -> Live:
    return open_live(trained.math, Bank([trained.math]), device="cpu", length=64)
