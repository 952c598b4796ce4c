"""Groups: which tensors of a model share genes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, get_args

from pydantic import Discriminator, Field, Tag, field_validator

from evomerge.errors import ConfigError, did_you_mean
from evomerge.models.anatomy import Anatomy
from evomerge.models.selections import nothing_selected
from evomerge.recipe.selector import COMPONENTS, Component, Place, Selector, Tower
from evomerge.value import Value

__all__ = ["Group", "Groups", "groups_of", "live"]

Size = Annotated[int, Field(ge=1)]
"""Layers in a block."""

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


Module = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.]*$", examples=["q_proj"])]


def _shape(given: object) -> str:
    return "towers" if isinstance(given, Mapping) else "size"


class Groups(Value):
    """How tensors share genes. Without either key all tensors share them."""

    layers: (
        Annotated[
            Annotated[Size, Tag("size")] | Annotated[Mapping[Tower, Size], Tag("towers")],
            Discriminator(_shape),
        ]
        | None
    ) = None
    """Layers in a block; 10 makes three blocks of a model of 30 layers. Of a model with several
    towers it counts in the decoder, and the others go with the last block; `{decoder: 10, vision:
    8}` makes blocks of each tower that is named, and the rest has genes of its own."""
    components: tuple[Part, ...] = ()
    """Components with genes of their own; `other` stands for those not named, and is implied."""
    modules: tuple[Module, ...] = Field(default=(), exclude_if=lambda held: not held)
    """Modules with genes of their own, before components, each by a text in the names of its
    tensors: `q_proj`, `down_proj`. The first that a tensor's name has is its own."""
    live_only: bool = False
    """Whether only groups that select a tensor have genes. It is set where a job is read; studies
    that are older than it have genes for the head of a model whose head is its embedding."""

    @field_validator("components")
    @classmethod
    def _once(cls, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        if len(set(parts)) < len(parts):
            raise ValueError(f"each component may stand once, got {list(parts)}")
        return parts

    @field_validator("modules")
    @classmethod
    def _named(cls, modules: tuple[str, ...]) -> tuple[str, ...]:
        for place, module in enumerate(modules):
            for before in modules[:place]:
                if before in module:
                    raise ValueError(
                        f"{before!r} selects all that {module!r} does; name that first, once"
                    )
            if module in get_args(Part):
                raise ValueError(f"{module!r} is a component; name it under components")
        return modules

    @field_validator("layers")
    @classmethod
    def _some(cls, layers: int | Mapping[Tower, int] | None) -> int | Mapping[Tower, int] | None:
        if isinstance(layers, Mapping) and not layers:
            raise ValueError("name a tower, as in {decoder: 10}, or leave it out")
        return layers

    @property
    def are_live(self) -> bool:
        """Whether groups that select no tensor are left out."""
        return self.live_only or bool(self.modules) or isinstance(self.layers, Mapping)

    @property
    def outside(self) -> list[Component]:
        """Components of their own that are in no layer."""
        return [part for part in ("embedding", "head") if part in self.components]

    @property
    def inside(self) -> dict[str, Selector]:
        """Name -> what selects it, of modules and components with genes of their own in each
        block."""
        own = [part for part in COMPONENTS if part in self.components]
        modules = {module: Selector(name=module) for module in self.modules}
        return modules | {
            part: Selector(component=part) for part in own if part not in self.outside
        }


@dataclass(frozen=True)
class Group:
    """Tensors that share genes: what selects them, and the name the genes carry (empty if all)."""

    name: str
    where: tuple[Selector, ...]
    place: Place | None = None
    """Of one of its tensors, where they are known."""

    def gene(self, parameter: str) -> str:
        """The name of this group's gene for a parameter."""
        return f"{parameter}@{self.name}" if self.name else parameter


def groups_of(
    groups: Groups, layers: int, origin: str, anatomy: Anatomy | None = None
) -> Iterator[Group]:
    """Blocks x components. Outside the layers, the embedding goes with the first block and the
    rest with the last, unless a component of their own was asked for; the last group is the rest.

    Args:
        layers: of the main tower.
        anatomy: is needed where blocks of towers are asked for.

    Raises:
        ConfigError: there are fewer layers than a block has, or there is no such tower.
    """
    for part in groups.outside:
        yield Group(part, (Selector(component=part),))
    if not isinstance(groups.layers, Mapping):
        yield from _blocks(groups, _cut(groups.layers, layers, f"{origin}.groups.layers"), None)
        return
    assert anatomy is not None
    towers = [own.tower for own in anatomy.towers]
    for tower in groups.layers:
        if tower not in towers:
            raise ConfigError(
                f"{origin}.groups.layers: no tower {tower!r}; {did_you_mean(tower, towers)}"
            )
    for own in anatomy.towers:  # in the model's order: that of a mapping is nobody's
        if own.tower in groups.layers:
            depth = layers if own is anatomy.main else own.layers
            key = f"{origin}.groups.layers.{own.tower}"
            yield from _blocks(groups, _cut(groups.layers[own.tower], depth, key), own.tower)
    for name, where in groups.inside.items():
        yield Group(name, (where,))
    yield Group("other", (Selector(),))


def _cut(size: int | None, layers: int, key: str) -> list[tuple[int, int]]:
    """[first, end) of each block, at least one."""
    if size is not None and size > layers:
        raise ConfigError(f"{key}: {size} of a model that has {layers}")
    size = size or max(layers, 1)
    return [(start, min(start + size, layers)) for start in range(0, max(layers, 1), size)]


def _blocks(
    groups: Groups, blocks: Sequence[tuple[int, int]], tower: Tower | None
) -> Iterator[Group]:
    """The groups of a tower; of the whole model where none is named."""
    for number, block in enumerate(blocks):
        layered = block if len(blocks) > 1 else None
        first, last = number == 0, number == len(blocks) - 1
        ranged = f"layers{block[0]}-{block[1] - 1}" if layered else ""
        lead = ".".join(word for word in (tower, ranged) if word)
        for name, own in groups.inside.items():
            where = [own.model_copy(update={"layers": layered, "tower": tower})]
            if last and layered:
                where.append(own.model_copy(update={"tower": tower}))
            yield Group(f"{lead}.{name}" if lead else name, tuple(where))
        rest = [Selector(layers=layered, tower=tower)]
        if first and layered and "embedding" not in groups.outside:
            rest.insert(0, Selector(component="embedding", tower=tower))
        if last and layered:
            rest.append(Selector(tower=tower))
        yield Group(
            ".".join(word for word in (lead, "other" if groups.inside else "") if word), tuple(rest)
        )


def live(groups: Sequence[Group], anatomy: Anatomy, asked: Groups) -> list[Group]:
    """The groups that some tensor of the model belongs to; the last of them is the rest.

    A head that is tied to the embedding is no tensor, and nobody need know that who asks for heads.

    Args:
        asked: its components and modules have to be there, each.

    Raises:
        ConfigError: one is not, and what there is.
    """
    for module in asked.modules:
        if not anatomy.selects(Selector(name=module)):
            raise ConfigError(
                f"space.groups.modules: no tensor of this model has {module!r} in its name;"
                f" {did_you_mean(module, _modules(anatomy))}"
            )
    for part in asked.components:
        where = Selector(component=None if part == "other" else part)
        if part != "head" and not anatomy.selects(where):
            raise ConfigError(f"space.groups.components: {nothing_selected(where, anatomy)}")
    places: dict[int, Place] = {}
    for place in anatomy.places:
        number = next(
            n for n, group in enumerate(groups) if any(own.matches(place) for own in group.where)
        )
        places.setdefault(number, place)
    kept = [
        replace(group, place=places[number])
        for number, group in enumerate(groups)
        if number in places
    ]
    last = kept[-1]
    if not last.where[-1].matches_all:
        kept[-1] = replace(last, where=(*last.where, Selector()))
    return kept


def _modules(anatomy: Anatomy) -> list[str]:
    """What the modules within layers are called: the last name before `.weight`."""
    return sorted({at.name.split(".")[-2] for at in anatomy.places if at.layer is not None})
