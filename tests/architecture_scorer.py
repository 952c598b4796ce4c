"""What the table's searches score: one number of what a model says to an input of its kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from tests.architecture_models import answers

__all__ = ["said_by", "score"]

CONTEXT, REST = [3, 4, 5], [6, 7]
"""Tokens, and those that come after them."""


def score(model: Any, split: str, places: Sequence[int], *, continues: bool) -> list[float]:
    """Of a live model: how likely some tokens are after others, or what comes out of it, summed."""
    if not continues:
        return [float(answers(model.module).double().sum())] * len(places)
    (scored,) = model.logprobs([(CONTEXT, REST)])
    return [scored.total] * len(places)


@torch.no_grad()
def said_by(module: Any, *, continues: bool) -> float:
    """The same of a model of transformers, without an engine and its caches."""
    if not continues:
        return float(answers(module).double().sum())
    whole = CONTEXT + REST
    likely = module(torch.tensor([whole]), use_cache=False).logits[0].log_softmax(-1)
    return sum(float(likely[at, whole[at + 1]]) for at in range(len(CONTEXT) - 1, len(whole) - 1))
