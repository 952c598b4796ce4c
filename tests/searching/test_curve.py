from __future__ import annotations

import pytest

from evomerge.searching.curve import Curve


def test_a_moment_of_it_stays_as_it_was_though_it_grows() -> None:
    values = [0.1, 0.3]
    before = Curve(values)
    values.append(0.5)
    assert (list(before), len(before), before[-1], before[:1]) == ([0.1, 0.3], 2, 0.3, [0.1])
    assert list(Curve(values)) == [0.1, 0.3, 0.5]
    with pytest.raises(IndexError):
        before[2]
