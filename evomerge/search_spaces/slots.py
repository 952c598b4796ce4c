"""The slots of a data-flow space: which layers may run, in which order, and how a path is read.

Akiba et al. (2403.13187), merging in the data flow space: the layers of all inputs are laid out one
after another, the whole repeated r times, and an indicator says for each slot whether it is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from evomerge.value import Value

__all__ = ["Jumps", "Order", "Pool", "Slots", "Step"]

Order = Literal["by_input", "by_depth"]
"""by_input: all layers of the first input, then all of the next; by_depth: the first layer of each,
then the second of each, so that one repetition can change between siblings anywhere; at each depth
the first input's layer comes last, so that on the way up it runs where no other does."""


@dataclass(frozen=True)
class LayerBlock:
    """Layers [first, end) of an input, which run together."""

    of: str
    first: int
    end: int

    @property
    def size(self) -> int:
        """Number of layers."""
        return self.end - self.first

    def __str__(self) -> str:
        """`math.7`, or `math.5-9`, as genes are named."""
        if self.size == 1:
            return f"{self.of}.{self.first}"
        return f"{self.of}.{self.first}-{self.end - 1}"


class Jumps(Value):
    """How far a path may go from one hop to the next; slots that jump farther are skipped."""

    least: int | None = None
    """The smallest step upward in layers: 1 never goes back nor runs a depth twice, 0 also
    allows another layer of the same depth, negative numbers allow steps back; left out: any."""
    most: Annotated[int, Field(ge=1)] | None = None
    """The largest step upward in layers, 1 being the next layer; left out: any."""
    between: bool = True
    """Whether a path may change from one input to another."""

    @model_validator(mode="after")
    def _some(self) -> Jumps:
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError(f"needs least <= most, got {self.least} and {self.most}")
        return self

    def allow(self, here: LayerBlock, there: LayerBlock) -> bool:
        """From the last layer of one block to the first of the next."""
        if not self.between and here.of != there.of:
            return False
        step = there.first - (here.end - 1)
        return (self.least is None or step >= self.least) and (
            self.most is None or step <= self.most
        )


@dataclass(frozen=True)
class Step:
    """One step of a path: the slot that it comes from (None where it is forced) and its block."""

    slot: int | None
    place: int
    """The block's place in the pool."""


class Pool:
    """All layers of all inputs in blocks, in the order in which one repetition offers them."""

    def __init__(self, counts: Mapping[str, int], order: Order, block: int = 1) -> None:
        """`counts`: input -> how many layers it has, the first input first."""
        blocks = [
            LayerBlock(name, first, min(first + block, count))
            for name, count in counts.items()
            for first in range(0, count, block)
        ]
        if order == "by_depth":  # where depths differ, by the share of the depth
            first, *others = counts
            rank = {name: number for number, name in enumerate([*others, first])}
            blocks.sort(key=lambda layers: (layers.first / counts[layers.of], rank[layers.of]))
        self.blocks: tuple[LayerBlock, ...] = tuple(blocks)
        self._at = {(layers.of, layers.first): place for place, layers in enumerate(blocks)}
        own = [place for place, layers in enumerate(blocks) if layers.of == next(iter(counts))]
        self.first, self.last = own[0], own[-1]
        """Places of the first input's first and last block."""

    def places(self, path: Sequence[tuple[str, int]]) -> list[int] | None:
        """The blocks that a path of (input, layer) consists of; None where it cuts a block."""
        places: list[int] = []
        left = list(path)
        while left:
            place = self._at.get(left[0])
            if place is None:
                return None
            block = self.blocks[place]
            if left[: block.size] != [(block.of, i) for i in range(block.first, block.end)]:
                return None
            places.append(place)
            left = left[block.size :]
        return places


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
        size = len(pool.blocks)
        self.count = size * repetitions - (first + last if ends_take_slots else 0)
        ends = [pool.first] * first + [pool.last] * last
        self.least_hops = sum(pool.blocks[place].size for place in ends)
        """Layers of the forced ends alone."""
        offered = [slot % size for slot in range(self.count)]
        longest = sum(pool.blocks[place].size for place in (*ends, *offered))
        self.max_hops = min(max_hops or longest, longest)
        self._jumps = jumps
        self._to_end = jumps.model_copy(update={"most": None})
        """The jump to the forced end may be longer."""

    def place(self, slot: int) -> int:
        """The place in the pool of the block that a slot offers."""
        return slot % len(self.pool.blocks)

    def name(self, slot: int) -> str:
        """`2:math.7`: layer 7 of math in the second repetition."""
        repetition, place = divmod(slot, len(self.pool.blocks))
        return f"{repetition + 1}:{self.pool.blocks[place]}"

    def path(self, runs: Sequence[bool]) -> tuple[list[Step], list[bool]]:
        """(path, heeded): the steps, and for each slot whether its indicator had an effect.

        A slot is skipped where its jump, or one from it to the forced end, is not allowed, or the
        path would become too long. A path without steps runs the first input's first block.
        """
        blocks = self.pool.blocks
        steps = [Step(None, self.pool.first)] if self.first else []
        left = self.max_hops - sum(blocks[step.place].size for step in steps)
        if self.last:
            left -= blocks[self.pool.last].size
        heeded = []
        for slot, run in enumerate(runs):
            place = self.place(slot)
            fits = (
                blocks[place].size <= left
                and (not steps or self._jumps.allow(blocks[steps[-1].place], blocks[place]))
                and (not self.last or self._to_end.allow(blocks[place], blocks[self.pool.last]))
            )
            heeded.append(fits)
            if fits and run:
                steps.append(Step(slot, place))
                left -= blocks[place].size
        if self.last:
            steps.append(Step(None, self.pool.last))
        return steps or [Step(None, self.pool.first)], heeded

    def steps(self, places: Sequence[int]) -> list[Step] | None:
        """The steps of a path given by its blocks, in the earliest slots; None if it has none."""
        first, last = int(self.first), int(self.last)
        if len(places) < first + last:
            return None
        if (self.first and places[0] != self.pool.first) or (
            self.last and places[-1] != self.pool.last
        ):
            return None
        steps = [Step(None, self.pool.first)] * first
        slot = -1
        for place in places[first : len(places) - last]:
            slot += 1 + (place - slot - 1) % len(self.pool.blocks)
            steps.append(Step(slot, place))
        if slot >= self.count:
            return None
        return steps + [Step(None, self.pool.last)] * last
