"""Random steps along an expert's singular directions: CycleQD's mutation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from evomerge.operators.base import TensorContext, operator
from evomerge.operators.parameters import Nothing
from evomerge.value import Value

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["singular_noise"]


class Reach(Value):
    """Parameters of one input of `singular_noise`."""

    weight: float = Field(0.1, allow_inf_nan=False)
    """The largest factor of a direction; negative values step in the opposite direction."""


@operator(
    "singular_noise",
    family="matrix",
    base="origin",
    shared=Nothing,
    each=Reach,
    citation="Kuroki et al., CycleQD, ICLR 2025, arXiv 2410.14735",
    search_ranges={"weight": (0.0, 0.3)},
)
def singular_noise(
    taus: Sequence[Tensor], options: Nothing, each: Sequence[Reach], context: TensorContext
) -> Tensor:
    """The base, moved along each expert's singular directions, each by a random factor of its own.

    With tau_i = U diag(s) V^T the change is sum_i weight_i U diag(s * u_i) V^T, u_i ~ U[0, 1] for
    each direction: CycleQD's mutation in the additive form of its released code. Only matrices in
    the layers are moved. u_i is drawn from the recipe's seed, the tensor and the input's name: the
    same expert under two names is moved twice.
    """
    change = context.base.new_zeros(context.shape)
    if len(context.shape) != 2 or context.place.component in ("embedding", "head"):
        return change
    for i, parameters in enumerate(each):
        if parameters.weight:
            u, s, vt = context.svd(i, min(context.shape))
            change += (u * (s * context.uniform(i, len(s)) * parameters.weight)) @ vt
    return change
