"""The published pair of networks to merge: drawn by JAX's generator from its key 42, then trained.

JAX is not needed for it. Its generator is Threefry-2x32 (Salmon et al. 2011, "Parallel random
numbers: as easy as 1, 2, 3", section 3.3), here as JAX 0.4 numbers its blocks: a key and a counter
of two words each make two random words.
"""

from __future__ import annotations

import numpy as np
from digit_data import Images
from network import INITIAL_STD, PARAMETERS, trained
from numpy.typing import NDArray
from scipy.special import erfinv

__all__ = ["published_pair", "threefry"]

Words = NDArray[np.uint32]

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = np.uint32(0x1BD11BDA)
"""So that a key of zeros is no worse than another (Skein's constant, 32 bits of it)."""
SEED = 42


def published_pair(training: Images) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ten steps of Adam each: one on the digits 0 to 4, the other on 5 to 9."""
    first, second = _split(np.array([0, SEED], dtype=np.uint32))
    return (
        trained(INITIAL_STD * _normal(first), training.of(range(5))),
        trained(INITIAL_STD * _normal(second), training.of(range(5, 10))),
    )


def threefry(key: Words, counter: Words) -> Words:
    """Random words, as many as in the counter, whose halves are the blocks' first and second."""
    x, y = (half.copy() for half in np.split(counter, 2))
    schedule = np.array([key[0], key[1], key[0] ^ key[1] ^ PARITY])
    x += schedule[0]
    y += schedule[1]
    for turn in range(1, 6):
        for by in ROTATIONS[(turn - 1) % 2]:
            x += y
            y = (y << np.uint32(by)) | (y >> np.uint32(32 - by))
            y ^= x
        x += schedule[turn % 3]
        y += schedule[(turn + 1) % 3]
        y += np.uint32(turn)
    return np.concatenate([x, y])


def _split(key: Words) -> Words:
    """(2, 2): two keys."""
    return threefry(key, np.arange(4, dtype=np.uint32)).reshape(2, 2)


def _normal(key: Words) -> NDArray[np.float64]:
    """(PARAMETERS,) ~ N(0, 1) in float32, by the inverse of the distribution function."""
    words = threefry(key, np.arange(PARAMETERS, dtype=np.uint32))
    # 23 random bits behind the exponent of 1.0: even in [1, 2).
    even = ((words >> np.uint32(9)) | np.uint32(0x3F800000)).view(np.float32) - np.float32(1)
    low = np.nextafter(np.float32(-1), np.float32(0), dtype=np.float32)
    spread = np.maximum(low, even * (np.float32(1) - low) + low)
    normal: NDArray[np.float32] = np.float32(np.sqrt(2)) * erfinv(spread).astype(np.float32)
    return normal.astype(np.float64)
