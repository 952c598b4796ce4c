"""Hooks on gradients: asked of the named parameters only, freed, and gone after `with`."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evomerge.measuring.hooks import GradientHooks
from evomerge.measuring.live import Live

UP = "model.layers.0.mlp.up_proj.weight"
QUERY = "model.layers.0.self_attn.q_proj.weight"


class Kept(GradientHooks):
    """Keeps what it is given."""

    def __init__(self, live: Live, *names: str) -> None:
        super().__init__(live, names)
        self.given: list[tuple[str, Tensor]] = []

    def _use(self, name: str, gradient: Tensor) -> None:
        self.given.append((name, gradient.clone()))


def test_each_backward_pass_gives_the_gradients_of_the_named_parameters_alone(live: Live) -> None:
    with Kept(live, UP, QUERY) as kept:
        wanted = {name for name, p in live.distinct.items() if p.requires_grad}
        for _ in range(2):
            live.run([5, 9, 2])[0].sum().backward()
    assert wanted == {UP, QUERY}
    assert sorted(name for name, _ in kept.given) == [UP, UP, QUERY, QUERY]
    first, second = (gradient for name, gradient in kept.given if name == UP)
    assert torch.equal(first, second), "gradients were added up"
    assert live.parameters[UP].grad is None


def test_nothing_is_heard_after_it_however_it_ends(live: Live) -> None:
    kept = Kept(live, UP)
    with pytest.raises(KeyError), kept:
        raise KeyError
    assert not live.parameters[UP].requires_grad
    live.parameters[UP].requires_grad_(True)
    live.run([5, 9, 2])[0].sum().backward()
    assert kept.given == []
