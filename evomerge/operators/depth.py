"""LiNeS: the change of the base, scaled by depth; a step after any other method."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from evomerge.operators.base import TensorContext, operator
from evomerge.operators.parameters import Nothing
from evomerge.value import Value

__all__ = ["lines"]


class LinesOptions(Value):
    """Options of `lines`."""

    alpha: float = Field(ge=0.0)
    """Factor of the first layer."""
    beta: float
    """What the last layer's factor has in addition to `alpha`."""
    embedding: float | None = None
    """Factor of the embedding; `alpha` where it is left out."""
    head: float | None = None
    """Factor of the output head and the final norm; that of the last layer where it is left out."""


@operator(
    "lines",
    family="span",
    base="origin",
    shared=LinesOptions,
    each=Nothing,
    max_inputs=1,
    citation="Wang et al., LiNeS, ICLR 2025, arXiv 2410.17146",
    search_ranges={"alpha": (0.0, 1.0), "beta": (0.0, 1.5)},
)
def lines(options: LinesOptions, each: Sequence[Nothing], context: TensorContext) -> list[float]:
    """Scale one model's change of the base linearly with depth: shallow layers stay near the base.

    Layer l of L gets alpha + beta * l / (L - 1) (equation 1). The input is usually a recipe of its
    own, so that this follows any other method. Outside the layers the released code gives alpha to
    all; here the head and the final norm, which sit at the deep end, go with the last layer.
    """
    layer = context.place.layer
    if layer is not None:
        depth = layer / (context.layers - 1) if context.layers > 1 else 1.0
        return [options.alpha + options.beta * depth]
    if context.place.component == "embedding":
        return [options.alpha if options.embedding is None else options.embedding]
    return [options.alpha + options.beta if options.head is None else options.head]
