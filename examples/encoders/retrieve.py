"""Scores a sentence encoder: how near each sentence's own other half is among all of the split."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch


@torch.inference_mode()
def reciprocal_rank(model: Any, split: str, places: Sequence[int], *, data: str) -> list[float]:
    """1 for each place where the other half is the nearest, 1/2 where it is the next, ..."""
    lines = Path(data, f"pairs-{split}.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    left = vectors(model, [rows[place][0] for place in places])
    nearness = left @ vectors(model, [other for _, other in rows]).T
    own = nearness[range(len(places)), list(places)]
    ranks = 1 + (nearness > own[:, None]).sum(dim=-1)
    return [1 / int(rank) for rank in ranks]


def vectors(model: Any, texts: list[str]) -> torch.Tensor:
    """(texts, hidden): the mean over the tokens, as sentence-transformers pools it; of length 1."""
    batch = model.tokenizer(texts, padding=True, return_tensors="pt").to(model.module.device)
    mask = batch["attention_mask"][..., None]
    hidden = model.module(**batch).last_hidden_state * mask
    return torch.nn.functional.normalize(hidden.sum(dim=1) / mask.sum(dim=1), dim=-1)
