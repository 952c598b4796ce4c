"""Coefficients in a live model: what they make of it, and their gradients."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call

from evomerge.measuring.coefficients import Coefficients, Link
from evomerge.measuring.live import open_live
from evomerge.measuring.objectives import entropy
from evomerge.merging.bank import Bank
from evomerge.operators.learned import pieces
from tests.measuring.conftest import QUERY, Trained

UP = "model.layers.0.mlp.up_proj.weight"
NAME = f"{QUERY}.weight"  # which the adapter changes
TOKENS = [5, 9, 2, 77]


@pytest.mark.parametrize("link", ["clamp", "sigmoid"])
def test_gradients_are_those_of_the_merged_model_written_as_a_function(
    trained: Trained, link: Link
) -> None:
    """Tied embeddings, an adapter's factors and pieces included."""
    experts = [trained.math, trained.lora]
    bank = Bank([trained.base, *experts])
    live = open_live(trained.base, bank, device="cpu", length=8)
    counts = {UP: 3, NAME: 1, "model.embed_tokens.weight": 2}
    elsewhere = {"model.norm.weight": 0.5}
    found = Coefficients(
        live, bank, trained.base, experts,
        counts=counts, link=link, start=0.3, elsewhere=elsewhere,
    )  # fmt: skip
    with found:
        found.load()
        logits, _ = live.run(TOKENS)
        entropy(logits).backward()
        found.backward(None)

    values = [raw.detach().clone().requires_grad_(True) for raw in found.learned]
    merged = {}
    for name in live.parameters:
        merged[name] = bank.tensor(trained.base, name)
        taus = [bank.tensor(one, name) - bank.tensor(trained.base, name) for one in experts]
        for i, tau in enumerate(taus):
            if name in counts:
                raw = values[sorted(counts).index(name)][i]
                own = raw.clamp(0, 1) if link == "clamp" else raw.sigmoid()
                parts = [a * p for a, p in zip(own, pieces(tau, len(own)), strict=True)]
                merged[name] = merged[name] + torch.cat(parts).reshape(tau.shape)
            else:
                merged[name] = merged[name] + elsewhere.get(name, 0.0) * tau
    expected = functional_call(live.model, merged, (torch.tensor([TOKENS]),), tie_weights=True)
    assert torch.allclose(logits, expected.logits[0], atol=1e-4)
    entropy(expected.logits[0]).backward()
    for raw, value in zip(found.learned, values, strict=True):
        assert raw.grad is not None
        assert value.grad is not None
        assert torch.allclose(raw.grad, value.grad, rtol=1e-3, atol=1e-5)
        assert bool(raw.grad[0].any())


def test_a_coefficient_of_one_is_the_expert(trained: Trained) -> None:
    bank = Bank([trained.base, trained.json])
    live = open_live(trained.base, bank, device="cpu", length=8)
    found = Coefficients(
        live, bank, trained.base, [trained.json],
        counts=dict.fromkeys(live.distinct, 1), link="clamp", start=1.0, elsewhere={},
    )  # fmt: skip
    found.load()
    for name, parameter in live.parameters.items():
        assert torch.allclose(parameter, bank.tensor(trained.json, name), atol=1e-6)
    assert found.of_expert(0, [UP, "other"])[UP].tolist() == [1.0]
    assert found.of_expert(0, ["other"])["other"].tolist() == [0.0]
