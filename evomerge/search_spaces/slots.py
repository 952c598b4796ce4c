"""The slots of a data-flow space: which layers may run, in which order, and how a path is read.

Akiba et al. (2403.13187), merging in the data flow space: the layers of all inputs are laid out one
after another, the whole repeated r times, and an indicator says of each slot whether it is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from evomerge.recipe.value import Value

__all__ = ["Jumps", "Order", "Pool", "Slots", "Step"]

Order = Literal["by_input", "by_depth"]
"""by_input: all layers of the first input, then all of the next; by_depth: the first layer of each,
then the second of each, so that one repetition holds every way of changing between siblings."""

Layer = tuple[str, int]
"""An input's name and a layer of it."""


class Jumps(Value):
    """From one hop to the next; a slot that would jump otherwise is passed over."""

    least: int | None = None
    """Fewest layers upward: 1 allows no way back and no depth twice, 0 another layer of the same
    depth, negative numbers ways back; None: any."""
    most: Annotated[int, Field(ge=1)] | None = None
    """Most layers upward, 1 being the next; None: any."""
    between: bool = True
    """Whether a path may change from one input to another."""

    @model_validator(mode="after")
    def _some(self) -> Jumps:
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError(f"needs least <= most, got {self.least} and {self.most}")
        return self

    def allow(self, here: Layer, there: Layer) -> bool:
        if not self.between and here[0] != there[0]:
            return False
        step = there[1] - here[1]
        return (self.least is None or step >= self.least) and (
            self.most is None or step <= self.most
        )


@dataclass(frozen=True)
class Step:
    """A hop of a path: the slot that it comes from (None where it is forced) and its layer."""

    slot: int | None
    layer: int
    """Place in the pool."""


class Pool:
    """All layers of all inputs, in the order in which one repetition offers them."""

    def __init__(self, counts: Mapping[str, int], order: Order) -> None:
        """`counts`: input -> how many layers it has, the first input first."""
        layers = [(name, layer) for name, count in counts.items() for layer in range(count)]
        if order == "by_depth":  # where depths differ, by the share of the depth
            layers.sort(key=lambda one: (one[1] / counts[one[0]], list(counts).index(one[0])))
        self.layers: tuple[Layer, ...] = tuple(layers)
        self.at: Mapping[Layer, int] = {layer: place for place, layer in enumerate(layers)}
        own = next(iter(counts))
        self.first, self.last = self.at[own, 0], self.at[own, counts[own] - 1]
        """Of the first input."""


class Slots:
    """Indicators -> path, in one pass over the slots."""

    def __init__(
        self,
        pool: Pool,
        *,
        repetitions: int,
        first: bool,
        last: bool,
        ends_take_slots: bool,
        max_hops: int | None,
        jumps: Jumps,
    ) -> None:
        self.pool, self.first, self.last = pool, first, last
        ends = first + last
        self.count = len(pool.layers) * repetitions - (ends if ends_take_slots else 0)
        self.max_hops = min(max_hops or self.count + ends, self.count + ends)
        self._jumps = jumps

    def layer(self, slot: int) -> int:
        """The place in the pool of the layer that a slot offers."""
        return slot % len(self.pool.layers)

    def name(self, slot: int) -> str:
        """`2:math.7`: layer 7 of math in the second repetition."""
        repetition, place = divmod(slot, len(self.pool.layers))
        of, layer = self.pool.layers[place]
        return f"{repetition + 1}:{of}.{layer}"

    def path(self, runs: Sequence[bool]) -> tuple[list[Step], list[bool]]:
        """(path, heeded): the hops, and of each slot whether its indicator was heeded.

        A slot is passed over where its jump is not allowed or the path is full. A path without a
        hop is that of the first input's first layer.
        """
        steps = [Step(None, self.pool.first)] if self.first else []
        limit = self.max_hops - self.last
        heeded = []
        for slot, run in enumerate(runs):
            layer = self.layer(slot)
            fits = len(steps) < limit and (not steps or self._allow(steps[-1].layer, layer))
            heeded.append(fits)
            if fits and run:
                steps.append(Step(slot, layer))
        if self.last:
            steps.append(Step(None, self.pool.last))
        return steps or [Step(None, self.pool.first)], heeded

    def place(self, path: Sequence[int]) -> list[int | None] | None:
        """The slots of a path given by its layers, the earliest ones; None where there are none."""
        layers = list(path)
        if (self.first and layers[:1] != [self.pool.first]) or (
            self.last and layers[-1:] != [self.pool.last]
        ):
            return None
        if len(layers) < self.first + self.last or len(layers) > self.max_hops:
            return None
        inner = layers[int(self.first) : len(layers) - self.last]
        found: list[int | None] = [None] if self.first else []
        slot = -1
        for layer in inner:
            slot += 1 + (layer - slot - 1) % len(self.pool.layers)
            found.append(slot)
        if slot >= self.count:
            return None
        return [*found, None] if self.last else found

    def _allow(self, here: int, there: int) -> bool:
        return self._jumps.allow(self.pool.layers[here], self.pool.layers[there])
