"""The diagonal Fisher information against gradients taken by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evomerge.measuring.fisher import Fisher
from evomerge.measuring.live import Live

UP = "model.layers.0.mlp.up_proj.weight"
EMBEDDING = "model.embed_tokens.weight"
EXAMPLES = [[5, 9, 2, 77], [5, 60, 61]]


def measured(live: Live, labels: str, seed: int = 0) -> dict[str, Tensor]:
    with Fisher(live, labels, seed) as fisher:  # type: ignore[arg-type]
        for tokens in EXAMPLES:
            logits, _ = live.run(tokens)
            fisher.add(tokens, logits)
    return fisher.tensors()


def test_it_is_the_mean_square_of_each_examples_own_gradient(live: Live) -> None:
    found = measured(live, "observed")
    expected = {name: torch.zeros_like(found[name]) for name in (UP, EMBEDDING)}
    live.model.requires_grad_(True)
    for tokens in EXAMPLES:
        likely = live.model(torch.tensor([tokens])).logits[0].log_softmax(-1)
        total = sum(likely[t, tokens[t + 1]] for t in range(len(tokens) - 1))
        for name, square in expected.items():
            (gradient,) = torch.autograd.grad(total, live.parameters[name], retain_graph=True)
            square += gradient.square() / 5  # tokens predicted
    for name, square in expected.items():
        assert torch.allclose(found[name], square, rtol=1e-4, atol=1e-7 * float(square.max())), name


def test_every_tensor_of_the_checkpoint_has_one(live: Live) -> None:
    found = measured(live, "sampled")
    assert found.keys() == live.parameters.keys()
    assert all(found[name].shape == p.shape for name, p in live.parameters.items())
    assert all(bool((tensor >= 0).all()) and bool(tensor.any()) for tensor in found.values())


def test_sampled_labels_follow_from_the_seed(live: Live) -> None:
    first, again, other = (measured(live, "sampled", seed)[UP] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.slow
def test_sampled_labels_estimate_the_expectation_over_the_models_predictions(live: Live) -> None:
    """Of the final norm, whose exact Fisher information is affordable."""
    name, tokens = "model.norm.weight", [5, 9, 2, 77]
    parameter = live.parameters[name]
    live.model.requires_grad_(True)
    likely = live.model(torch.tensor([tokens])).logits[0, :-1].log_softmax(-1)
    exact = torch.zeros_like(parameter)
    for row in likely:
        shares = row.detach().exp()
        for label in shares.argsort(descending=True)[:60]:
            (gradient,) = torch.autograd.grad(row[label], parameter, retain_graph=True)
            exact += gradient.square() * shares[label] / len(likely)
    live.model.requires_grad_(False)
    with Fisher(live, "sampled", 0) as fisher:
        for _ in range(400):
            logits, _ = live.run(tokens)
            fisher.add(tokens, logits)
    found = fisher.tensors()[name]
    assert float(found.sum()) == pytest.approx(float(exact.sum()), rel=0.15)


def test_it_leaves_the_model_as_it_was(live: Live) -> None:
    measured(live, "sampled")
    assert all(p.grad is None and not p.requires_grad for p in live.model.parameters())
