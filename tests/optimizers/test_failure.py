from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from evomerge.optimizers.failure import worse_than


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_worse_than_all_and_finite(fitnesses: list[float]) -> None:
    worst = worse_than(fitnesses)
    assert math.isfinite(worst)
    assert worst < min(fitnesses) or max(fitnesses) - min(fitnesses) < 1e-9


def test_the_margin_is_the_spread() -> None:
    assert worse_than([0.5, 0.75]) == 0.25
    assert worse_than([0.5, 0.5]) == -0.5
    assert worse_than([]) == 0.0
