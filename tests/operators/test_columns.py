"""WIDEN: method card 19."""

from __future__ import annotations

import torch

from tests.operators.applied import applied, close

BASE = torch.tensor([[3.0, 0, 1], [4, 2, 0]])
EXPERTS = torch.tensor([[[3.0, 1, 1], [4, 2, 0]], [[6, 0, 1], [8, 2, 1]]])
MERGED = torch.tensor([[5.25, 1, 1], [7, 2, 0.75]])


def test_columns_are_weighed_by_how_far_they_moved() -> None:
    assert close(BASE + applied("widen", EXPERTS - BASE, base=BASE), MERGED)


def test_in_an_embedding_a_column_is_a_tokens_vector() -> None:
    found = applied("widen", (EXPERTS - BASE).mT, base=BASE.mT, tensor="model.embed_tokens.weight")
    assert close(BASE.mT + found, MERGED.mT)


def test_vectors_are_weighed_element_by_element() -> None:
    found = applied("widen", [[0.0, 4.0], [2.0, 1.0]], base=[1.0, 1.0])
    assert close(found, [2.0, 4 * 1.0 + 1 / (1 + torch.e**3)])


def test_zero_columns_and_frozen_experts() -> None:
    base = torch.tensor([[0.0, 1], [0, 2]])
    found = applied("widen", [torch.zeros(2, 2), [[1.0, 0], [0, 1]]], base=base)
    assert bool(found.isfinite().all())
    assert close(applied("widen", torch.zeros(2, 2, 2), base=base), torch.zeros(2, 2))
