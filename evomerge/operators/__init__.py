"""The merge methods, one family a file; third parties add theirs by the entry point group below."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from evomerge.operators import (
    adapters,
    averaging,
    columns,
    curvature,
    depth,
    dropping,
    geometry,
    learned,
    noise,
    regression,
    selecting,
    signs,
    spectral,
    spherical,
    trimming,
)
from evomerge.operators.base import REGISTRY, Operator
from evomerge.recipe.signature import Signature

__all__ = ["ENTRY_POINTS", "operators", "signatures"]

ENTRY_POINTS = "evomerge.operators"
"""Modules named here are imported once; the decorators in them register their methods."""

_BUILT_IN = (
    adapters,
    averaging,
    columns,
    curvature,
    depth,
    dropping,
    geometry,
    learned,
    noise,
    regression,
    selecting,
    signs,
    spectral,
    spherical,
    trimming,
)


@cache
def operators() -> dict[str, Operator]:
    """Every registered method, by name."""
    for point in entry_points(group=ENTRY_POINTS):
        point.load()
    return dict(sorted(REGISTRY.items()))


def signatures() -> dict[str, Signature]:
    """How every method looks from outside, by name."""
    return {name: entry.signature for name, entry in operators().items()}
