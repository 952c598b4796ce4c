"""What passes while nobody looks does not count."""

from __future__ import annotations

from evomerge.cluster.attention import Attention


def test_a_long_time_without_a_look_counts_as_a_short_one() -> None:
    passed = [10.0]
    attention = Attention(lambda: passed[0])
    began = attention.now_s()
    for later in (10.5, 11.0, 12.5):
        passed[0] = later
        assert attention.now_s() - began == later - 10.0
    passed[0] = 100.0
    assert attention.now_s() - began == 4.5
    passed[0] = 101.0
    assert attention.now_s() - began == 5.5
    passed[0] = 102.0
    assert attention.now_s(is_deaf=True) - began == 5.6
