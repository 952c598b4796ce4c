"""The arithmetic of one range of a tensor, as a function that runs eagerly or compiled."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from evomerge.merging.draws import draw
from evomerge.operators.base import Kernel

__all__ = ["Kind", "NumberKind", "Specialization", "merge_range"]

Kind = Literal["weights", "change", "nothing"]
"""What a vector is: weights as they are stored, a change of the base in float32, or zeros."""
NumberKind = Literal["float", "cut", "chance"]


@dataclass(frozen=True)
class Specialization:
    """Everything that compiled code depends on: what is computed, not with which numbers."""

    kernel: Kernel
    switches: tuple[Hashable, ...]
    kinds: tuple[Kind, ...]
    based: bool
    numbers: tuple[tuple[str, NumberKind, int], ...]
    """Name, kind and how many, in the order in which they are packed."""
    elements: tuple[tuple[str, int], ...]
    random: bool
    apart: bool = False
    """Whether the elements are runs with gaps between them: draws go by places in the tensor."""

    def uncut(self) -> Specialization:
        """For a range in which no cut ends: each is one limit, a float."""
        numbers = [(n, "float" if kind == "cut" else kind, many) for n, kind, many in self.numbers]
        return replace(self, numbers=tuple(numbers))


def merge_range(
    specialization: Specialization,
    origin: Tensor | None,
    vectors: Sequence[Tensor],
    elements: Sequence[Tensor],
    floats: Tensor,
    integers: Tensor,
    out: Tensor,
) -> Tensor:
    """Merge into `out`, rounded once, and return the largest magnitude (NaN if one is).

    Eagerly that of what is rounded; a compiler may leave the rounding out.

    All tensors are flat. `floats` (float32) and `integers` (int32) are packed: a float is one of
    the former, a chance one of the latter, a cut two and one (its limits before and behind its end,
    and the end, counted from the first element at hand). Draws take two keys an operand, where the
    elements are `apart` three numbers more (how far the first is from the beginning of its run, the
    runs' width, and their distance), and the flat index of that beginning in the tensor.
    """
    base = None if origin is None else origin.float()
    stored = iter(vectors)
    taus = [_tau(kind, stored, base) for kind in specialization.kinds]
    index: Tensor | None = None
    if specialization.random or any(kind == "cut" for _, kind, _ in specialization.numbers):
        index = torch.arange(out.numel(), dtype=torch.int32, device=out.device)
    some_floats, some_integers, some_elements = _Pack(floats), _Pack(integers), iter(elements)
    numbers: dict[str, list[Tensor]] = {}
    for name, kind, many in specialization.numbers:
        numbers[name] = [_number(kind, some_floats, some_integers, index) for _ in range(many)]
    for name, many in specialization.elements:
        numbers[name] = [next(some_elements) for _ in range(many)]
    if specialization.random:
        keys = [(some_integers.take(), some_integers.take()) for _ in taus]
        assert index is not None, "draws count elements"
        place = index
        if specialization.apart:
            place = place + some_integers.take()
            width, stride = some_integers.take(), some_integers.take()
            place = (place // width) * stride + place % width
        place = place + some_integers.take()
        numbers["draws"] = [draw(place, first, second) for first, second in keys]
    change = specialization.kernel(taus, numbers, *specialization.switches)
    merged = (change if base is None else base + change).to(out.dtype)
    out.copy_(merged)
    if out.device.type == "cpu":
        # A compiler makes what a strided view is of before it goes on. Otherwise it may merge
        # twice, in a loop for the maximum and in one for the result.
        merged = merged.as_strided(merged.shape, (1,))
    return merged.float().abs().amax()


class _Pack:
    """Takes numbers off a tensor, one after another."""

    def __init__(self, values: Tensor) -> None:
        self._values = values
        self._next = 0

    def take(self) -> Tensor:
        self._next += 1
        return self._values[self._next - 1]


def _number(kind: NumberKind, floats: _Pack, integers: _Pack, index: Tensor | None) -> Tensor:
    match kind:
        case "float":
            return floats.take()
        case "chance":
            return integers.take()
        case "cut":
            assert index is not None, "cuts count elements"
            return torch.where(index < integers.take(), floats.take(), floats.take())


def _tau(kind: Kind, stored: Iterator[Tensor], base: Tensor | None) -> Tensor:
    if kind == "nothing":
        assert base is not None
        return torch.zeros_like(base)
    weights = next(stored).float()
    return weights if base is None or kind == "change" else weights - base
