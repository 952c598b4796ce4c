"""Steps along singular directions."""

from __future__ import annotations

import pytest
import torch

from tests.operators.applied import applied, close, weights

EMBEDDING = "model.embed_tokens.weight"
TAU = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


def factors(change: torch.Tensor, tau: torch.Tensor) -> torch.Tensor:
    """By which each singular direction of tau is in the change; nothing may lie between them."""
    u, s, vt = torch.linalg.svd(tau, full_matrices=False)
    inside = u.mT @ change @ vt.mT
    assert torch.allclose(inside, inside.diagonal().diag(), atol=1e-5)
    factors: torch.Tensor = inside.diagonal() / s
    return factors


def test_each_direction_takes_a_step_of_its_own() -> None:
    steps = factors(applied("singular_noise", [TAU], weights(0.1)), TAU)
    assert bool(((steps > 0) & (steps < 0.1)).all())
    assert len({round(float(step), 6) for step in steps}) == 4
    turned = factors(applied("singular_noise", [TAU], weights(-0.2)), TAU)
    assert torch.allclose(turned, -2 * steps, atol=1e-5)


@pytest.mark.slow
def test_steps_are_even_from_nothing_to_the_weight() -> None:
    diagonal = torch.arange(1.0, 2001.0).diag()
    steps = applied("singular_noise", [diagonal], weights(1.0)).diagonal() / diagonal.diagonal()
    counts = torch.histc(steps, bins=4, min=0.0, max=1.0)
    assert bool(((steps >= 0) & (steps <= 1)).all())
    assert counts.tolist() == pytest.approx([500] * 4, abs=70)


def test_draws_follow_recipe_tensor_and_name() -> None:
    def steps(**where: object) -> list[float]:
        made = applied("singular_noise", [TAU], weights(0.1), **where)  # type: ignore[arg-type]
        return factors(made, TAU).tolist()

    plain = steps()
    assert plain == steps()
    others = [steps(seed=1), steps(names="z"), steps(tensor="model.layers.0.mlp.down_proj.weight")]
    assert all(other != plain for other in others)


def test_steps_of_several_experts_add_up() -> None:
    pair = [TAU, TAU.flip(0)]
    a, b = (applied("singular_noise", [pair[i]], weights(0.3), names="ab"[i]) for i in (0, 1))
    assert close(applied("singular_noise", pair, weights(0.3, 0.3)), a + b)


def test_vectors_embeddings_and_what_did_not_change_stay() -> None:
    assert not applied("singular_noise", [[1.0, 2.0]], weights(0.1)).any()
    assert not applied("singular_noise", [TAU], weights(0.1), tensor=EMBEDDING).any()
    assert not applied("singular_noise", [torch.zeros(3, 3)], weights(0.1)).any()
