"""Tensors that vLLM's loaders take apart before they are made.

A loader gets a checkpoint's whole tensor, narrows it to what its rank holds (heads, columns, a part
of the vocabulary, an expert) and copies that into the live model. Given a promise in the tensor's
place, it narrows that, and what it copies is made when it is copied: the loaders themselves say
which part of a tensor a rank needs, whatever the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from evomerge.errors import InfrastructureError
from evomerge.merging.box import Box

__all__ = ["Promised"]

Make = Callable[[Box | None], Tensor]
"""A box of the tensor, or all of it where that is None; new and contiguous."""

_COPY = torch.ops.aten.copy_.default
_SAME = {torch.ops.aten.clone.default}
"""What gives the same numbers in another place: nothing has to be made for it yet."""


class Promised(Tensor):
    """A view of a tensor that is not made; whoever reads its numbers makes them, each time."""

    _make: Make
    _whole: tuple[int, ...]
    _view: Tensor

    @staticmethod
    def __new__(cls, make: Make, whole: Sequence[int], view: Tensor, device: torch.device) -> Any:
        """Prefer `Promised.of`. `view`: where its elements lie in the whole, on no device."""
        promised = Tensor._make_wrapper_subclass(
            cls, view.shape, strides=view.stride(), dtype=view.dtype, device=device
        )
        promised._make, promised._whole, promised._view = make, tuple(whole), view
        return promised

    @classmethod
    def of(
        cls, make: Make, shape: Sequence[int], dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        """The whole tensor that `make` makes."""
        view = torch.empty(tuple(shape), dtype=dtype, device="meta")
        promised: Tensor = cls(make, shape, view, device)
        return promised

    def made(self) -> Tensor:
        """The numbers of this view; no more of the tensor is made than a box around it."""
        view, whole = self._view, self._whole
        if not whole or not view.numel():
            return self._make(None).as_strided(view.shape, view.stride(), 0)
        box, strides, offset = _box_of(view, whole)
        part = self._make(None if box.is_whole else box)
        return part.as_strided(view.shape, strides, offset)

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls,
        func: Any,
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Views stay promises; a copy onto no device needs no numbers; all else does."""
        more = kwargs or {}
        first = args[0]
        if isinstance(first, cls):
            if func.is_view:
                views = func(first._view, *args[1:], **more)
                return tree_map(lambda view: first._same(view), views)
            if func in _SAME and _keeps_order(first, more):
                return first._same(first._view)
            if func._schema.is_mutable:
                raise InfrastructureError(
                    f"a loader of vLLM's writes into a tensor of the checkpoint by {func}, which"
                    " none did in the release that this evomerge was made for (docs/vllm.md)"
                )
        if func is _COPY and first.is_meta:
            return first
        made = tree_map(lambda given: given.made() if isinstance(given, cls) else given, args)
        return func(*made, **more)

    def _same(self, view: Tensor) -> Tensor:
        promised: Tensor = type(self)(self._make, self._whole, view, self.device)
        return promised


def _keeps_order(promised: Promised, options: Mapping[str, Any]) -> bool:
    """Whether a clone lies as the view does."""
    return not options and promised._view.is_contiguous()


def _box_of(view: Tensor, whole: tuple[int, ...]) -> tuple[Box, list[int], int]:
    """The smallest box around the view, and the view's strides and offset in it; where an axis of
    the view goes along several of the whole tensor's, all rows that it meets."""
    strides = _strides(whole)
    first = int(view.storage_offset())
    steps = [_step(n, stride, whole) for n, stride in zip(view.shape, view.stride(), strict=True)]
    low, rest = [], first
    for stride in strides:
        low.append(rest // stride)
        rest %= stride
    stops = [start + 1 for start in low]
    for size, step in zip(view.shape, steps, strict=True):
        if step is not None:
            stops[step[0]] += (size - 1) * step[1]
    if None in steps or any(stop > size for stop, size in zip(stops, whole, strict=True)):
        last = first + sum((n - 1) * s for n, s in zip(view.shape, view.stride(), strict=True))
        rows = (int(first // strides[0]), int(last // strides[0]) + 1)
        ranges = (rows, *((0, size) for size in whole[1:]))
        return Box(whole, ranges), list(view.stride()), first - rows[0] * strides[0]
    box = Box(whole, tuple(zip(low, stops, strict=True)))
    inside = _strides([stop - start for start, stop in box.ranges])
    return box, [step[1] * inside[step[0]] if step else 0 for step in steps], 0


def _step(size: int, stride: int, whole: tuple[int, ...]) -> tuple[int, int] | None:
    """The axis of the whole tensor that an axis of a view goes along, and how many of its indices
    at a time; None where it goes along none."""
    if size == 1:
        return 0, 0
    for axis, own in enumerate(_strides(whole)):
        if whole[axis] > 1 and stride >= own:
            return None if stride % own else (axis, stride // own)
    return None


def _strides(shape: Sequence[int]) -> list[int]:
    """Of a contiguous tensor."""
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
