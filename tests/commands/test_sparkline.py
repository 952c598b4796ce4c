"""A curve in one line."""

from __future__ import annotations

from evomerge.commands.sparkline import sparkline


def test_from_the_lowest_to_the_highest() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 20) == "▁▂▃▄▅▆▇█"
    assert sparkline([-2.0, 5.0], 20) == "▁█"
    assert sparkline([0.5, 0.5], 20) == "▁▁"
    assert sparkline([], 20) == ""


def test_of_many_the_last_of_each_stretch() -> None:
    """A best so far never falls, so that the last of a stretch is its highest."""
    assert sparkline(range(100), 4) == "▁▃▆█"
    assert len(sparkline(range(1000), 33)) == 33
    assert sparkline([0] * 99 + [1], 10) == "▁▁▁▁▁▁▁▁▁█"


def test_where_only_ascii_is_known() -> None:
    assert sparkline(range(8), 20, ascii_only=True) == "_.-:=+*#"
