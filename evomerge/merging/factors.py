"""What a method on low-rank factors makes of one tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from evomerge.errors import RecipeError
from evomerge.merging.context import BankContext
from evomerge.merging.vectors import Vector
from evomerge.operators.base import Operator
from evomerge.operators.low_rank import LowRank

__all__ = ["merged_factors"]


def merged_factors(
    operator: Operator,
    vectors: Sequence[Vector],
    shape: Sequence[int],
    options: Any,
    each: Sequence[Any],
    context: BankContext,
) -> LowRank | None:
    """The change by an operator of the family *adapter*; None where no operand makes one.

    Raises:
        RecipeError: an operand is not an adapter on the base; or as the operator.
    """
    for name, vector in zip(context.names, vectors, strict=True):
        if isinstance(vector, Tensor):
            raise RecipeError(
                f"method {operator.signature.name!r} merges LoRA adapters on the base, and"
                f" {name!r} is none"
            )
    if all(vector is None for vector in vectors):
        return None
    height, width = shape
    factors = [vector or LowRank.nothing(height, width) for vector in vectors]
    change: LowRank = operator.function(factors, options, each, context)
    return change
