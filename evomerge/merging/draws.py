"""Random draws that are a function of the place alone: no stream, no order, no device."""

from __future__ import annotations

import hashlib

from torch import Tensor

__all__ = ["draw", "keys", "limit"]

# The multipliers of Ellis' `lowbias32` (hash prospector, 2018), as int32.
_FIRST, _SECOND = 0x7FEB352D, 0x846CA68B - (1 << 32)


def keys(seed: int, tensor: str, of: str) -> tuple[int, int]:
    """Two int32 keys for each (recipe seed, tensor name, input name)."""
    digest = hashlib.sha256(f"{seed}\0{tensor}\0{of}".encode()).digest()
    first, second = digest[:4], digest[4:8]
    return int.from_bytes(first, "little", signed=True), int.from_bytes(
        second, "little", signed=True
    )


def draw(index: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """int32 draws, uniform over all of them, for int32 flat indices.

    A hash of the index (two rounds of multiplication and xor-shift) that a key enters before each
    round. Plain integer arithmetic: the same on every device, compiled or not.
    """
    x = index ^ first
    x = (x ^ ((x >> 16) & 0xFFFF)) * _FIRST
    x = (x ^ ((x >> 15) & 0x1FFFF)) + second
    x = x * _SECOND
    return x ^ ((x >> 16) & 0xFFFF)


def limit(keep: float) -> int:
    """The int32 at or below which a draw lies with this probability, to 2^-32."""
    return min(max(round(keep * (1 << 32)), 1), 1 << 32) - 1 - (1 << 31)
