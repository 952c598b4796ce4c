"""Scores a classifier: whether it gives each sentence its label."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def right(model: Any, split: str, places: Sequence[int], *, data: str) -> list[bool]:
    """One answer for each place. `model.module` is the transformers model as it is merged now."""
    lines = Path(data, f"reviews-{split}.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    texts, labels = zip(*(rows[place] for place in places), strict=True)
    batch = model.tokenizer(list(texts), padding=True, return_tensors="pt")
    logits = model.module(**batch.to(model.module.device)).logits
    return [int(answer) == label for answer, label in zip(logits.argmax(-1), labels, strict=True)]
