"""The anatomy of a model: its towers and their depths, and the place of each tensor.

A tower is a part with layers of its own: the decoder of a language model, the vision tower beside
it, encoder and decoder of a translator; and each component of a diffusers pipeline, whose tensors
are called `unet/conv_in.weight`. Read from the names of all tensors together, and from nothing else
(`architecture.py` says why).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from evomerge.models.architecture import NameParts, parts_of
from evomerge.models.blocks import block_lists, block_parts_of
from evomerge.recipe.selector import COMPONENTS, Component, Place, Selector, Tower

__all__ = ["Anatomy", "TowerLayers", "anatomy_of"]

Container = tuple[str, ...]
"""The modules around a list of layers, with the list's own name."""
_COMPONENT = "/"
"""Stands after the name of a pipeline's component; no module has it in its name."""


@dataclass(frozen=True)
class TowerLayers:
    """A tower's list of layers, or its lists of blocks that run one after the other."""

    tower: Tower
    container: Container
    layers: int
    blocks: Mapping[Container, int] = field(default_factory=dict, compare=False)
    """List of blocks -> the number of its first one; empty where there is one list of layers."""


@dataclass(frozen=True)
class Anatomy:
    """What the names of a model's tensors tell."""

    names: tuple[str, ...]
    towers: tuple[TowerLayers, ...]
    """The decoder first, the others by name; nothing where no layers are found."""
    parts: Mapping[Tower, Anatomy] = field(default_factory=dict, compare=False)
    """Of a pipeline: component -> the anatomy of its own tensors."""

    @property
    def main(self) -> TowerLayers | None:
        """The tower that a range of layers means where it names none: the decoder or the only one;
        None where there is no such tower."""
        if len(self.towers) == 1 or any(own.tower == "decoder" for own in self.towers):
            return self.towers[0]
        return None

    @property
    def layers(self) -> int:
        """Depth of the main tower; 0 where there is none."""
        return self.main.layers if self.main else 0

    def depth(self, tower: Tower | None) -> int:
        """Layers of a tower, or of the main one; 0 where it is not there."""
        if tower is None:
            return self.layers
        return next((own.layers for own in self.towers if own.tower == tower), 0)

    def place(self, name: str) -> Place:
        """Where a tensor of the model sits, or one that is called like those."""
        known = self._places.get(name)
        return self._placed(name) if known is None else known

    @property
    def places(self) -> Iterable[Place]:
        """Of all tensors."""
        return self._places.values()

    @cached_property
    def components(self) -> tuple[Component, ...]:
        """What tensors there are of, each with its broader component where it has one."""
        return tuple(
            component for component in COMPONENTS if self.selects(Selector(component=component))
        )

    def selects(self, where: Selector) -> bool:
        """Whether the selector matches any tensor."""
        return any(where.matches(place) for place in self.places)

    @cached_property
    def _places(self) -> Mapping[str, Place]:
        return {name: self._placed(name) for name in self.names}

    @cached_property
    def _containers(self) -> Mapping[Container, Tower]:
        return {own.container: own.tower for own in self.towers}

    def _placed(self, name: str) -> Place:
        if self.parts:
            return self._placed_in_part(name)
        if self.towers and self.towers[0].blocks:
            return self._placed_in_blocks(name, self.towers[0])
        parts = parts_of(name)
        tower = self._containers.get(parts.container or ())
        layer = None if tower is None else parts.layer
        if tower is None:
            tower = self._around(name, parts)
        main = self.main is not None and tower == self.main.tower
        return Place(layer, parts.component, name, tower, parts.expert, main)

    def _placed_in_part(self, name: str) -> Place:
        tower, _, inner = name.partition(_COMPONENT)
        if tower not in self.parts:
            return Place(None, None, name, main=False)
        at = self.parts[tower].place(inner)
        main = self.main is not None and tower == self.main.tower
        return at._replace(name=name, tower=tower, layer=at.layer if at.main else None, main=main)

    def _placed_in_blocks(self, name: str, own: TowerLayers) -> Place:
        parts = block_parts_of(name)
        first = own.blocks.get(parts.container or ())
        layer = None if first is None or parts.layer is None else first + parts.layer
        return Place(layer, parts.component, name, own.tower)

    def _around(self, name: str, parts: NameParts) -> Tower | None:
        """The tower of a tensor outside the layers."""
        present = {own.tower for own in self.towers}
        if len(present) == 1:
            return self.towers[0].tower
        if parts.tower in present:
            return parts.tower
        around = [
            (len(own.container), own.tower)
            for own in self.towers
            if own.container[1:] and name.startswith(".".join([*own.container[:-1], ""]))
        ]
        if around:
            return max(around)[1]
        return "decoder" if parts.component == "head" and "decoder" in present else None


def anatomy_of(names: Iterable[str]) -> Anatomy:
    """The anatomy of a model with tensors of these names."""
    return _anatomy(tuple(names))


@lru_cache(maxsize=64)
def _anatomy(names: tuple[str, ...]) -> Anatomy:
    if any(_COMPONENT in name for name in names):
        return _of_pipeline(names)
    depths: dict[Container, int] = {}
    tensors: Counter[Container] = Counter()
    for name in names:
        parts = parts_of(name)
        if parts.container is not None and parts.layer is not None:
            depths[parts.container] = max(depths.get(parts.container, 0), parts.layer + 1)
            tensors[parts.container] += 1
    blocks = block_lists(names)
    if blocks is not None and blocks.tensors > sum(tensors.values()):
        first = next(iter(blocks.first))
        own = TowerLayers(blocks.tower, first, blocks.layers, blocks.first)
        return Anatomy(names, (own,))
    lists: dict[Tower, Container] = {}
    # Of several lists in one tower the one with the most tensors is the tower's.
    for container in sorted(tensors, key=lambda own: (-tensors[own], own)):
        lists.setdefault(_tower(container, names), container)
    towers = [TowerLayers(tower, own, depths[own]) for tower, own in lists.items()]
    ordered = sorted(towers, key=lambda own: (own.tower != "decoder", own.tower))
    return Anatomy(names, tuple(ordered))


def _of_pipeline(names: tuple[str, ...]) -> Anatomy:
    """Each component is a tower, whose layers are those of its own main tower."""
    inside: dict[Tower, list[str]] = {}
    for name in names:
        component, _, inner = name.partition(_COMPONENT)
        inside.setdefault(component, []).append(inner)
    parts = {component: anatomy_of(inner) for component, inner in inside.items()}
    towers = (TowerLayers(own, (own,), parts[own].layers) for own in sorted(parts))
    return Anatomy(names, tuple(towers), parts)


def _tower(container: Container, names: Sequence[str]) -> Tower:
    """What kind of tower a list of layers belongs to."""
    said = parts_of(".".join([*container, "0", "weight"])).tower
    if said == "text" and "encoder" not in container:
        return "decoder"  # a language model whose tower is called after its modality
    if said is not None:
        return said
    # Where nothing says it: an encoder has its embeddings in a module of their own, of several
    # embeddings or with a norm, and a decoder one matrix.
    above = ".".join([*container[:1], "embeddings", ""]) if container[1:] else "embeddings."
    return (
        "encoder"
        if any(name.startswith(above) and name.count(".") > above.count(".") for name in names)
        else "decoder"
    )
