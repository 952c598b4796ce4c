"""A key-value cache in memory that is kept: written in place, read as a view, used again.

The library's own dynamic cache concatenates at every token, and its static one makes attention read
the whole capacity. On a CPU the page faults of the first cost as much as the model.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

__all__ = ["SlabCache"]


class _Slab(DynamicLayer):
    """One layer's keys and values, (batch, heads, capacity, head size), filled up to `used`."""

    keys: Tensor
    values: Tensor

    def __init__(self) -> None:
        super().__init__()
        self._store: tuple[Tensor, Tensor] | None = None
        self.batch = self.capacity = self.used = 0

    def begin(self, batch: int, capacity: int) -> None:
        self.batch, self.capacity, self.used = batch, capacity, 0
        self.is_initialized = False

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.dtype, self.device = key_states.dtype, key_states.device
        kept = self._store or (key_states.new_empty(0), value_states.new_empty(0))
        self._store = (self._room(kept[0], key_states), self._room(kept[1], value_states))
        self.keys, self.values = (
            store[: self._size(states)].view(self.batch, states.shape[1], self.capacity, -1)
            for store, states in zip(self._store, (key_states, value_states), strict=True)
        )
        self.is_initialized = True

    def _size(self, states: Tensor) -> int:
        return self.batch * states.shape[1] * self.capacity * states.shape[3]

    def _room(self, store: Tensor, states: Tensor) -> Tensor:
        size = self._size(states)
        return store if store.numel() >= size else states.new_empty(size)

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self.used + key_states.shape[2]
        self.keys[:, :, self.used : end] = key_states
        self.values[:, :, self.used : end] = value_states
        self.used = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def get_seq_length(self) -> int:
        return self.used

    def keep(self, rows: Tensor) -> None:
        """Rows, ascending, move to the front; the others are forgotten."""
        self.batch = len(rows)
        for states in (self.keys, self.values):
            states[: self.batch, :, : self.used] = states[rows, :, : self.used]
        self.keys, self.values = self.keys[: self.batch], self.values[: self.batch]


class SlabCache(Cache):
    """`begin` a batch, let the model fill it, `keep` the rows that are not done."""

    def __init__(self, layers: int) -> None:
        self._slabs = [_Slab() for _ in range(layers)]
        super().__init__(layers=list(self._slabs))

    def use(self, layers: int) -> None:
        """So many layers from now on; the memory of the others is kept, and costs no time."""
        self.layers = list(self._slabs[:layers])

    def begin(self, batch: int, capacity: int, prefix: SlabCache | None = None) -> None:
        """Room for `batch` sequences of `capacity` tokens that start with `prefix`'s only one."""
        for index, slab in enumerate(self._slabs[: len(self)]):
            slab.begin(batch, capacity)
            if prefix is not None:
                start = prefix._slabs[index]
                slab.update(
                    start.keys[:, :, : start.used].expand(batch, -1, -1, -1),
                    start.values[:, :, : start.used].expand(batch, -1, -1, -1),
                )

    def keep(self, rows: Tensor) -> None:
        """Keep these rows of the batch, in this order."""
        for slab in self._slabs[: len(self)]:
            slab.keep(rows)
