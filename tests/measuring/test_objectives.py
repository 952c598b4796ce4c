"""Losses, against the worked numbers of the method cards (26, 27)."""

from __future__ import annotations

import pytest
import torch

from evomerge.measuring.objectives import deviation, entropy, imitation


def test_entropy() -> None:
    logits = torch.tensor([[2.0, 0.0], [1.0, 0.0]])
    assert float(entropy(logits[:1])) == pytest.approx(0.365334, abs=1e-6)
    assert float(entropy(logits)) == pytest.approx((0.365334 + 0.582203) / 2, abs=1e-6)


def test_imitation_is_a_cross_entropy() -> None:
    student, teacher = torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 0.0]])
    found = imitation(student, [], (teacher, []), temperature=1.0)
    assert float(found) == pytest.approx(0.432465, abs=1e-6)
    own = imitation(teacher, [], (teacher, []), temperature=1.0)
    assert float(found - own) == pytest.approx(0.067131, abs=1e-6)  # the KL divergence


def test_a_temperature_divides_the_logits_and_multiplies_the_loss() -> None:
    student, teacher = torch.tensor([[2.0, 0.0]]), torch.tensor([[4.0, 0.0]])
    found = imitation(student, [], (teacher, []), temperature=2.0)
    assert float(found) == pytest.approx(4 * 0.432465, abs=1e-5)


def test_hidden_states_add_their_mean_squared_difference() -> None:
    logits = torch.tensor([[2.0, 0.0]])
    states = [torch.zeros(1, 4), torch.zeros(1, 4)]
    theirs = [torch.full((1, 4), 2.0), torch.zeros(1, 4)]
    alone = imitation(logits, [], (logits, []), temperature=1.0)
    found = imitation(logits, states, (logits, theirs), temperature=1.0)
    assert float(found - alone) == pytest.approx(2.0)


def test_deviation_is_the_mean_distance_times_the_number_of_experts() -> None:
    values = [torch.tensor([[0.3], [0.1]]), torch.tensor([[0.1, 0.2], [0.1, 0.1]])]
    assert float(deviation(values, 0.1, 2)) == pytest.approx(2 * 0.3 / 6)
