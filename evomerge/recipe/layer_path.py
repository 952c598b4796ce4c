"""A stack seen as a pool of layers and a path through them.

An engine for data flow holds a pool: one model with every layer that may run. A candidate is then a
path, a few numbers, and no weights move.
"""

from __future__ import annotations

from collections.abc import Mapping

from evomerge.recipe.tree import Hop, Scaling, Stack
from evomerge.value import Value

__all__ = ["Capacity", "LayerPath", "in_use", "pooled"]


class Capacity(Value):
    """What an engine for data flow has room for."""

    layers: int
    """Number of layers in the pool."""
    hops: int
    """Largest number of hops in a path; each has a key-value cache of its own."""


class LayerPath(Value):
    """Which layer of a pool runs at each hop, and what multiplies its input."""

    layers: tuple[int, ...]
    """The pool's layer at each hop."""
    scales: tuple[float, ...]
    """The factor of each hop's input."""
    scaling: Scaling = "stream"
    """What the factors multiply."""


def pooled(stack: Stack, counts: Mapping[str, int]) -> tuple[Stack, LayerPath]:
    """(pool, path): a stack of all layers of all inputs, one after another, and the path in it.

    `counts`: how many layers each input has. Stacks that differ in their paths only share a pool.
    """
    names = sorted(stack.inputs)
    hops = tuple(Hop(of=name, layer=layer) for name in names for layer in range(counts[name]))
    return _routed(stack, hops)


def in_use(stack: Stack) -> tuple[Stack, LayerPath]:
    """(pool, path) with only those layers in the pool that run, each once, as they come first."""
    seen = dict.fromkeys(Hop(of=hop.of, layer=hop.layer) for hop in stack.hops)
    return _routed(stack, tuple(seen))


def _routed(stack: Stack, hops: tuple[Hop, ...]) -> tuple[Stack, LayerPath]:
    at = {(hop.of, hop.layer): place for place, hop in enumerate(hops)}
    pool = stack.model_copy(update={"hops": hops, "scaling": "stream"})
    layer_path = LayerPath(
        layers=tuple(at[hop.of, hop.layer] for hop in stack.hops),
        scales=tuple(hop.scale for hop in stack.hops),
        scaling=stack.scaling,
    )
    return pool, layer_path
