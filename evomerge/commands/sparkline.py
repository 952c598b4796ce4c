"""A curve in one line of text."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["sparkline"]

BARS = "▁▂▃▄▅▆▇█"
PLAIN = "_.-:=+*#"
"""For terminals that know ASCII only."""


def sparkline(values: Sequence[float], width: int, *, ascii_only: bool = False) -> str:
    """The values from the lowest to the highest bar; of many, the last of each stretch.

    Args:
        values: finite.
        width: most characters.
    """
    bars = PLAIN if ascii_only else BARS
    if len(values) > width:
        values = [values[(i + 1) * len(values) // width - 1] for i in range(width)]
    if not values:
        return ""
    low, high = min(values), max(values)
    span = high - low
    heights = ((value - low) / span if span else 0.0 for value in values)
    return "".join(bars[round(height * (len(bars) - 1))] for height in heights)
