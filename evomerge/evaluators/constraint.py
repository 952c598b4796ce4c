"""A constraint: what a model must keep at a task or a cost, as a line of text.

    json >= 0.95 * base        at least 95 % of what the base scores
    prose <= 1.05 * parents    at most 5 % worse than the best parent, of bits per byte
    json >= math               no worse than the source called math
    layers <= 30               a plain number

Read by a pattern and never evaluated: a line is one comparison and nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["BASE", "PARENTS", "Constraint", "read_constraint"]

BASE = "base"
"""The word for the model that the parents were made from."""
PARENTS = "parents"
"""The word for the best of the parents at the task."""

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_PATTERN = re.compile(
    rf"\s*(?P<name>[^\s<>=*]+)\s*(?P<sign>>=|<=)\s*"
    rf"(?:(?P<number>{_NUMBER})(?P<percent>\s*%)?(?:\s*\*\s*(?P<model>[^\s<>=*]+))?"
    rf"|(?P<alone>[^\s<>=*\d+.-][^\s<>=*]*))\s*"
)


@dataclass(frozen=True)
class Constraint:
    """`name` is at least (or at most) `factor`, or `factor` times what a model has there."""

    written: str
    """As the job has it."""
    name: str
    """A task or a cost."""
    at_least: bool
    factor: float
    model: str | None
    """`base`, `parents` or a source; None: the factor is the bound."""

    def violation(self, value: float, bound: float) -> float:
        """By how much `value` misses the bound, as a share of it (of a bound of 0 in the value's
        own unit); 0 or less where the constraint is met."""
        missed = bound - value if self.at_least else value - bound
        return missed / (abs(bound) or 1.0)

    def said(self, value: float, bound: float) -> str:
        """What a model has and what is wanted: `json 0.58, and at least 0.61 is wanted`."""
        want = "at least" if self.at_least else "at most"
        named = f"{bound:.4g}"
        if self.model is not None:
            named += f" ({self.factor:g} * {self.model})"
        return f"{self.name} {value:.4g}, and {want} {named} is wanted"


def read_constraint(written: str) -> Constraint:
    """The constraint in a line.

    Raises:
        ValueError: it is none.
    """
    parts = _PATTERN.fullmatch(written)
    if parts is None:
        raise ValueError(
            f"{written!r} is no constraint; one is NAME >= NUMBER, or NAME >= NUMBER * MODEL, or"
            " the same with <=, such as 'json >= 0.95 * base'"
        )
    number = float(parts["number"] or 1.0) / (100.0 if parts["percent"] else 1.0)
    return Constraint(
        written=" ".join(written.split()),
        name=parts["name"],
        at_least=parts["sign"] == ">=",
        factor=number,
        model=parts["model"] or parts["alone"],
    )
