"""Groups: which tensors of a model share genes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field, field_validator

from evomerge.errors import ConfigError
from evomerge.models.anatomy import Anatomy
from evomerge.models.selections import nothing_selected
from evomerge.recipe.selector import COMPONENTS, Component, Selector
from evomerge.value import Value

__all__ = ["Group", "Groups", "groups_of", "live"]

Part = Literal[
    "attention",
    "mlp",
    "norm",
    "embedding",
    "head",
    "mixer",
    "cross_attention",
    "router",
    "expert",
    "other",
]


class Groups(Value):
    """How tensors share genes. Without either key all tensors share them."""

    layers: Annotated[int, Field(ge=1)] | None = None
    """Layers in a block; 10 makes three blocks of a model of 30 layers."""
    components: tuple[Part, ...] = ()
    """Components with genes of their own; `other` stands for those not named, and is implied."""
    live_only: bool = False
    """Whether only groups that select a tensor have genes. It is set where a job is read; studies
    that are older than it have genes for the head of a model whose head is its embedding."""

    @field_validator("components")
    @classmethod
    def _once(cls, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        if len(set(parts)) < len(parts):
            raise ValueError(f"each component may stand once, got {list(parts)}")
        return parts


@dataclass(frozen=True)
class Group:
    """Tensors that share genes: what selects them, and the name the genes carry (empty if all)."""

    name: str
    where: tuple[Selector, ...]

    def gene(self, parameter: str) -> str:
        """The name of this group's gene for a parameter."""
        return f"{parameter}@{self.name}" if self.name else parameter


def groups_of(groups: Groups, layers: int, origin: str) -> Iterator[Group]:
    """Blocks x components. Outside the layers, the embedding goes with the first block and the
    rest with the last, unless a component of their own was asked for; the last group is the rest.
    """
    if groups.layers is not None and groups.layers > layers:
        raise ConfigError(f"{origin}.groups.layers: {groups.layers} of a model that has {layers}")
    size = groups.layers or layers
    blocks = [(start, min(start + size, layers)) for start in range(0, layers, size)]
    own: list[Component] = [part for part in COMPONENTS if part in groups.components]
    outside: list[Component] = [part for part in own if part in ("embedding", "head")]
    inside: list[Component] = [part for part in own if part not in outside]
    for part in outside:
        yield Group(part, (Selector(component=part),))
    for first, end in blocks:
        block = f"layers{first}-{end - 1}" if len(blocks) > 1 else ""
        layered = (first, end) if len(blocks) > 1 else None
        for part in inside:
            name = f"{block}.{part}" if block else part
            where = [Selector(layers=layered, component=part)]
            if end == layers and layered:
                where.append(Selector(component=part))
            yield Group(name, tuple(where))
        rest = [Selector(layers=layered)]
        if first == 0 and layered and "embedding" not in outside:
            rest.insert(0, Selector(component="embedding"))
        if end == layers and layered:
            rest.append(Selector())
        name = ".".join(word for word in (block, "other" if inside else "") if word)
        yield Group(name, tuple(rest))


def live(groups: Sequence[Group], anatomy: Anatomy, asked: Sequence[Part]) -> list[Group]:
    """The groups that some tensor of the model belongs to; the last of them is the rest.

    A head that is tied to the embedding is no tensor, and nobody need know that who asks for heads.

    Args:
        asked: components that were named, each of which has to be there.

    Raises:
        ConfigError: one is not, and what there is.
    """
    for part in asked:
        where = Selector(component=None if part == "other" else part)
        if part != "head" and not anatomy.selects(where):
            raise ConfigError(f"space.groups.components: {nothing_selected(where, anatomy)}")
    chosen = {
        next(n for n, group in enumerate(groups) if any(own.matches(place) for own in group.where))
        for place in anatomy.places
    }
    kept = [group for number, group in enumerate(groups) if number in chosen]
    last = kept[-1]
    if not last.where[-1].matches_all:
        kept[-1] = replace(last, where=(*last.where, Selector()))
    return kept
