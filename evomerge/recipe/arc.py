"""The angle of spherical interpolation (SLERP), told in one place.

Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985.
"""

from __future__ import annotations

import math

__all__ = ["PARALLEL", "angle", "cosine"]

PARALLEL = 1e-6
"""The sine of an angle up to which spherical interpolation is linear, as in the released code of
M2N2 (2508.16204)."""


def cosine(inner: float, lengths: float) -> float | None:
    """Of the angle between two vectors, within [-1, 1]; None where one of them is 0.

    `inner`: their inner product; `lengths`: the product of their lengths.
    """
    return None if lengths == 0.0 else min(max(inner / lengths, -1.0), 1.0)


def angle(inner: float, lengths: float, error: float = 0.0) -> float | None:
    """In radians; None where interpolation has to be linear: they are parallel, or one is 0.

    `error`: how far their cosine may be off by rounding. Vectors that it cannot tell from parallel
    ones are parallel: between opposite ones of different lengths, 1 / sin grows without bound.
    """
    along = cosine(inner, lengths)
    if along is None or 1.0 - abs(along) <= error:
        return None
    omega = math.acos(along)
    return omega if math.sin(omega) > PARALLEL else None
