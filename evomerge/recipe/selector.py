"""A selector: which tensors a rule is about."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import Field, model_validator

from evomerge.value import Value

__all__ = ["COMPONENTS", "Component", "Place", "Selector"]

Component = Literal["attention", "mlp", "norm", "embedding", "head"]
COMPONENTS: tuple[Component, ...] = ("attention", "mlp", "norm", "embedding", "head")


class Place(NamedTuple):
    """Where a tensor sits: its layer (None outside the layers) and its component, if it has one."""

    layer: int | None
    component: Component | None
    name: str = ""
    """The tensor's checkpoint name."""


class Selector(Value):
    """Matches the places in `layers`, a half-open range, that belong to `component`, and whose
    tensor has `name` somewhere in its checkpoint name.

    What is left out does not restrict; an empty selector matches every tensor.
    """

    layers: tuple[int, int] | None = None
    """[first, end): the layers from `first` up to, but without, `end`."""
    component: Component | None = None
    """Which part of the model: attention, mlp, norm, embedding or head."""
    name: Annotated[str, Field(min_length=1)] | None = None
    """A text that stands somewhere in the tensor's checkpoint name."""

    @model_validator(mode="after")
    def _range(self) -> Selector:
        if self.layers and not 0 <= self.layers[0] < self.layers[1]:
            raise ValueError(
                f"layers must be [first, end) with 0 <= first < end, got {list(self.layers)}"
            )
        return self

    @property
    def matches_all(self) -> bool:
        """Whether nothing is restricted."""
        return self.layers is None and self.component is None and self.name is None

    def matches(self, place: Place) -> bool:
        """Whether the tensor at this place is selected."""
        if self.component is not None and place.component != self.component:
            return False
        if self.name is not None and self.name not in place.name:
            return False
        if self.layers is None:
            return True
        return place.layer is not None and self.layers[0] <= place.layer < self.layers[1]
