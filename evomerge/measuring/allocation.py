"""Expert Merging++: how many coefficients each tensor gets, by its importance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

__all__ = ["allocated", "importance", "usable"]


def importance(
    coefficients: Sequence[Sequence[float]],
    sizes: Sequence[Sequence[float]],
    elements: Sequence[int],
) -> list[float]:
    """I_p = sum_i |a_ip| mean|tau_ip| numel_p, over the sum of all.

    `coefficients` and `sizes` (the mean magnitudes): experts x tensors.
    """
    raw = [
        sum(abs(a[p]) * size[p] for a, size in zip(coefficients, sizes, strict=True)) * count
        for p, count in enumerate(elements)
    ]
    total = math.fsum(raw)
    return [value / total if total > 0 else 1.0 / len(raw) for value in raw]


def allocated(
    shares: Mapping[str, float], elements: Mapping[str, int], *, budget: float, kappa: float
) -> dict[str, int]:
    """m_p = floor(budget * L * I_p^kappa / sum_q I_q^kappa) of L tensors.

    One of 0 keeps its start. A tensor gets no more than it can be cut into.
    """
    powers = {name: share**kappa for name, share in shares.items()}
    total = math.fsum(powers.values())
    counts = {
        name: math.floor(budget * len(shares) * power / total + 1e-9)
        for name, power in powers.items()
    }
    return {name: usable(elements[name], count) for name, count in counts.items()}


def usable(elements: int, count: int) -> int:
    """The pieces that there are when so many of equal length are asked for: 5 in 4 are 2, 2, 1."""
    if count <= 0:
        return 0
    return math.ceil(elements / math.ceil(elements / count))
