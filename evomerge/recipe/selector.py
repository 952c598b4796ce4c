"""A selector: which tensors a rule is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from evomerge.value import Value

__all__ = ["BROADER", "COMPONENTS", "TOWERS", "Component", "Place", "Selector", "Tower"]

Component = Literal[
    "cross_attention",
    "router",
    "expert",
    "attention",
    "mlp",
    "norm",
    "embedding",
    "head",
    "mixer",
]
COMPONENTS: tuple[Component, ...] = get_args(Component)
"""A component stands before the broader one that it is a part of."""

BROADER: Mapping[Component, Component] = {
    "cross_attention": "attention",
    "router": "mlp",
    "expert": "mlp",
}
"""A component -> the one that selects it too: an expert is a part of its layer's MLP."""

Tower = str
"""A tower's name: one of `TOWERS`, or a component of a diffusers pipeline, by the name that the
pipeline gives it."""
TOWERS: tuple[Tower, ...] = ("decoder", "encoder", "vision", "text", "audio")
"""What towers within one model are called."""


class Place(NamedTuple):
    """Where a tensor sits: its layer (None outside the layers) and its component, if it has one."""

    layer: int | None
    component: Component | None
    name: str = ""
    """The tensor's checkpoint name."""
    tower: Tower | None = None
    """The part of the model that has layers of its own; None for what belongs to no single one."""
    expert: int | None = None
    """Which of its layer's experts; None where they are stored in one tensor."""
    main: bool = True
    """Whether a range of layers means this tower's where it names none."""


class Selector(Value):
    """Matches the places in `layers`, a half-open range, that belong to `component`, and whose
    tensor has `name` somewhere in its checkpoint name.

    What is left out does not restrict; an empty selector matches every tensor.
    """

    layers: tuple[int, int] | None = None
    """[first, end): the layers from `first` up to, but without, `end`; counted in the tower, or in
    the decoder (or the only tower) where none is named."""
    component: Component | None = None
    """Which part of the model: attention, mlp, norm, embedding, head, mixer (state-space and other
    layers without attention), and of attention and mlp also the parts cross_attention, router and
    expert."""
    name: Annotated[str, Field(min_length=1)] | None = None
    """A text that stands somewhere in the tensor's checkpoint name."""
    tower: (
        Annotated[
            Tower,
            Field(
                pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,60}$",
                examples=[*TOWERS, "unet", "vae", "text_encoder"],
            ),
        ]
        | None
    ) = None
    """Which tower of a model that has several: decoder, encoder, vision, text or audio; of a
    diffusers pipeline its component: unet, transformer, vae, text_encoder, ..."""
    experts: tuple[int, int] | None = None
    """[first, end): the experts from `first` up to, but without, `end`, in every layer selected."""

    @model_validator(mode="after")
    def _range(self) -> Selector:
        for key, span in (("layers", self.layers), ("experts", self.experts)):
            if span and not 0 <= span[0] < span[1]:
                raise ValueError(
                    f"{key} must be [first, end) with 0 <= first < end, got {list(span)}"
                )
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Younger keys stand only where they are used: digests and caches go by the text."""
        written: dict[str, Any] = handler(self)
        younger = ("tower", "experts")
        return {k: v for k, v in written.items() if k not in younger or v is not None}

    @property
    def matches_all(self) -> bool:
        """Whether nothing is restricted."""
        return self == Selector()

    def matches(self, place: Place) -> bool:
        """Whether the tensor at this place is selected."""
        if self.component is not None and self.component not in _names(place.component):
            return False
        if self.name is not None and self.name not in place.name:
            return False
        if self.tower is not None and place.tower != self.tower:
            return False
        if self.experts is not None and not _within(place.expert, self.experts):
            return False
        if self.layers is None:
            return True
        counted = place.main or self.tower is not None
        return counted and _within(place.layer, self.layers)

    def __str__(self) -> str:
        """`layers [0, 8), component mlp`; empty where it matches all."""
        parts = [f"tower {self.tower}"] if self.tower else []
        parts += [f"layers [{self.layers[0]}, {self.layers[1]})"] if self.layers else []
        parts += [f"component {self.component}"] if self.component else []
        parts += [f"experts [{self.experts[0]}, {self.experts[1]})"] if self.experts else []
        parts += [f"name {self.name!r}"] if self.name else []
        return ", ".join(parts)


def _names(component: Component | None) -> tuple[Component, ...]:
    """The component and, where it is a part of one, the broader one."""
    if component is None:
        return ()
    broader = BROADER.get(component)
    return (component,) if broader is None else (component, broader)


def _within(number: int | None, span: tuple[int, int]) -> bool:
    return number is not None and span[0] <= number < span[1]
