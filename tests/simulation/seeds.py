"""Which searches are simulated each time: six in ten of a thousand, among which all that is broken
on purpose is found. `make simulate` plays many more."""

from __future__ import annotations

__all__ = ["BLOCKS", "SEEDS"]

BLOCKS = 6
SEEDS = tuple(seed for seed in range(1000) if seed % 10 < BLOCKS)
