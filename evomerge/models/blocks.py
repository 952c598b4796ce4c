"""Layers of models that are made of named blocks: `down_blocks.0`, `mid_block`, `up_blocks.0` of a
U-Net or a VAE, `transformer_blocks.0` and `single_transformer_blocks.0` of a diffusion transformer.

Several lists of blocks run one after the other, and all of them are the layers of one tower,
counted in the order in which they run. Read from names alone, as in `architecture.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from evomerge.models.architecture import NameParts, component_of, words_of
from evomerge.recipe.selector import Tower

__all__ = ["BlockLists", "block_lists", "block_parts_of"]

Container = tuple[str, ...]

_HALVES = ("encoder", "decoder")
"""The halves of an autoencoder run in this order."""
_STAGES = ("down", "mid", "up", "single")
"""First words of lists' names, in the order in which such lists run; any other runs first."""
_PROJECTIONS = frozenset({"to_q", "to_k", "to_v", "to_out", "to_add_out"})
"""Modules of an attention whatever the module around them is called."""


@dataclass(frozen=True)
class BlockLists:
    """The lists of blocks in one model that run one after the other."""

    tower: Tower
    """As names tell it: unet, vae or transformer."""
    first: Mapping[Container, int]
    """The modules around a list, with its own name -> the number of its first block, in the order
    in which they run."""
    layers: int
    tensors: int
    """In all these blocks."""


def block_lists(names: Iterable[str]) -> BlockLists | None:
    """The lists of blocks in a model with tensors of these names; None where there are none.

    A list belongs to them where it stands beside the largest one, or in the other half of an
    autoencoder; a list within another module (a refiner of tokens) counts no layers of the model.
    """
    depths: dict[Container, int] = {}
    tensors: Counter[Container] = Counter()
    for name in names:
        parts = block_parts_of(name)
        if parts.container is not None and parts.layer is not None:
            depths[parts.container] = max(depths.get(parts.container, 0), parts.layer + 1)
            tensors[parts.container] += 1
    if not depths:
        return None
    largest = min(depths, key=lambda own: (-tensors[own], own))
    beside = [own for own in depths if _above(own) == _above(largest)]
    first, layers = {}, 0
    for container in sorted(beside, key=_turn):
        first[container] = layers
        layers += depths[container]
    return BlockLists(_tower(beside), first, layers, sum(tensors[own] for own in beside))


@cache
def block_parts_of(name: str) -> NameParts:
    """The parts of a tensor's name, where blocks are the layers; norms count as norms."""
    segments = name.split(".")
    for at, segment in enumerate(segments):
        if segment.isdecimal():
            break
        if words_of(segment)[-1:] not in (("block",), ("blocks",)):
            continue
        numbered = segments[at + 1 : at + 2]
        layer, inside = 0, segments[at + 1 :]
        if numbered and numbered[0].isdecimal() and len(numbered[0]) < 7:
            layer, inside = int(numbered[0]), segments[at + 2 :]
        if len(inside) > 1:  # a block consists of modules
            component = component_of(inside, in_layer=True)
            if component is None and _PROJECTIONS & set(inside):
                component = "attention"
            return NameParts(tuple(segments[: at + 1]), layer, None, component, None)
        break
    return NameParts(None, None, None, component_of(segments, in_layer=False), None)


def _above(container: Container) -> Container:
    return tuple(module for module in container[:-1] if module not in _HALVES)


def _turn(container: Container) -> tuple[int, int, Container]:
    """Sorts lists in the order in which they run."""
    half = next((_HALVES.index(module) for module in container if module in _HALVES), 0)
    word = words_of(container[-1])[0]
    return half, _STAGES.index(word) if word in _STAGES else 0, container


def _tower(containers: Sequence[Container]) -> Tower:
    """What diffusers' pipelines call a component with such lists."""
    if any(module in _HALVES for own in containers for module in own):
        return "vae"
    staged = {words_of(own[-1])[0] for own in containers} & set(_STAGES[:3])
    return "unet" if staged else "transformer"
