"""What a merge method takes: enough to check a recipe and to build a space, without running it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from evomerge.value import Value

__all__ = ["BaseRole", "Combine", "SearchRange", "Family", "Signature", "Sole", "Taken"]

Family = Literal["span", "elementwise", "matrix", "adapter", "statistics"]
BaseRole = Literal["origin", "optional_origin", "anchor", "none"]
"""What `base` is to a method: the origin of the task vectors (required or not), the model that the
method starts from (an operand itself), or nothing but the donor of configuration and tokenizer."""

Combine = Literal["delta", "factor", "cluster"]
"""What of a low-rank change a method combines: the products B A (as if they were dense), the
factors A and B apart from each other, or their ranks in clusters."""

SearchRange = tuple[float, float] | tuple[float, float, Literal["log"]]
"""A range worth searching; `log` where the magnitude is what counts."""

Taken = int | Literal["base"] | None
"""Which model a merge gives back unchanged: an operand by its place, the base, or none of them."""

Sole = Callable[[Any, Sequence[Any]], Taken]
"""(shared options, each operand's parameters) -> what the merge gives back unchanged, whatever the
weights are: with weight 1 on one model and 0 on the others, say. None where it is not sure."""


@dataclass(frozen=True, kw_only=True)
class Signature:
    """A merge method seen from outside."""

    name: str
    summary: str
    citation: str
    family: Family
    base: BaseRole
    shared: type[Value]
    """Options that hold for all inputs: `lambda`, `normalize`, `t`."""
    each: type[Value]
    """Parameters of one input: `weight`, `density`."""
    min_inputs: int = 1
    """The smallest number of operands, the base not counted."""
    max_inputs: int | None = None
    """The largest number of operands, the base not counted; None: no limit."""
    search_ranges: Mapping[str, SearchRange] = field(default_factory=dict)
    """Parameter -> the range that a search should have where the user gives none."""
    combine: Combine = "delta"
    statistics: str | None = None
    """The kind of statistics (`fisher`, `gram`, ...) that every operand has to come with."""
    sole: Sole = lambda options, each: None
    """Which operand the result is for certain, where it is one of them."""

    @property
    def needs_base(self) -> bool:
        """Whether a recipe of this method has to name a base."""
        return self.base in ("origin", "anchor")
