"""Random draws as a function of the place."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evomerge.merging.draws import draw, keys, limit


def draws(seed: int = 0, tensor: str = "w", of: str = "a", size: int = 1 << 20) -> Tensor:
    index = torch.arange(size, dtype=torch.int32)
    return draw(index, *(torch.tensor(key, dtype=torch.int32) for key in keys(seed, tensor, of)))


def test_known_draws() -> None:
    """Another platform or release gives the same masks; worked out in unsigned Python integers."""
    first, second = (key % (1 << 32) for key in keys(3, "model.w", "math"))
    expected = []
    for index in (0, 1, 1000):
        x = index ^ first
        x = (x ^ (x >> 16)) * 0x7FEB352D % (1 << 32)
        x = ((x ^ (x >> 15)) + second) % (1 << 32)
        x = x * 0x846CA68B % (1 << 32)
        x ^= x >> 16
        expected.append(x - (1 << 32) if x >= 1 << 31 else x)
    assert draws(3, "model.w", "math", 1001)[[0, 1, 1000]].tolist() == expected


def test_they_depend_on_seed_tensor_and_input_alone() -> None:
    assert torch.equal(draws(size=100), draws(size=200)[:100])
    others = [draws(seed=1), draws(tensor="v"), draws(of="b")]
    for other in others:
        assert float((other == draws()).double().mean()) < 1e-4


@pytest.mark.parametrize("keep", [0.01, 0.3, 0.5, 0.9])
def test_chances_are_met(keep: float) -> None:
    for found in (draws(), draws(seed=1), draws(of="b")):
        share = float((found <= limit(keep)).double().mean())
        assert share == pytest.approx(keep, abs=5 * (keep * (1 - keep) / len(found)) ** 0.5)


def test_certain_and_hardly_possible() -> None:
    assert bool((draws() <= limit(1.0)).all())
    assert limit(1e-12) == -(1 << 31)


@pytest.mark.slow
def test_bits_neighbours_and_inputs_are_uncorrelated() -> None:
    """Each within five standard deviations of a fair coin."""
    found, other = draws(), draws(of="b")
    bound = 5 * 0.5 / len(found) ** 0.5
    for bit in range(32):
        ones = (found >> bit) & 1
        assert float(ones.double().mean()) == pytest.approx(0.5, abs=bound), bit
        for shift in (1, 2, 576, 4096):
            same = (ones[shift:] == ones[:-shift]).double().mean()
            assert float(same) == pytest.approx(0.5, abs=bound), (bit, shift)
        same = (ones == ((other >> bit) & 1)).double().mean()
        assert float(same) == pytest.approx(0.5, abs=bound), bit
