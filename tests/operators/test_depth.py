"""LiNeS: method card 20."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operators.applied import applied, close


@pytest.mark.parametrize(("layer", "factor"), [(0, 0.2), (1, 0.35), (2, 0.5), (4, 0.8)])
def test_layers_are_scaled_by_depth(layer: int, factor: float) -> None:
    name = f"model.layers.{layer}.mlp.experts.1.up_proj.weight"
    assert close(applied("lines", [[1]], tensor=name, layers=5, alpha=0.2, beta=0.6), [factor])


def test_outside_the_layers_each_end_goes_with_its_neighbour() -> None:
    def factor(name: str, **options: Any) -> float:
        return float(applied("lines", [[1]], tensor=name, layers=5, alpha=0.2, beta=0.6, **options))

    assert factor("model.embed_tokens.weight") == pytest.approx(0.2)
    assert factor("lm_head.weight") == pytest.approx(0.8)
    assert factor("model.norm.weight") == pytest.approx(0.8)
    assert factor("model.embed_tokens.weight", embedding=0.0) == 0
    assert factor("lm_head.weight", head=1.0) == 1


def test_a_single_layer_is_the_deepest() -> None:
    assert close(applied("lines", [[1]], layers=1, alpha=0.2, beta=0.6), [0.8])
