"""The arithmetic of one range of a tensor, as a function that runs eagerly or compiled."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor

from evomerge.merging.draws import draw
from evomerge.operators.base import Kernel

__all__ = ["COMPILE", "Specialization", "Kind", "NumberKind", "compiled", "merge_range", "spent"]

COMPILE = "EVOMERGE_COMPILE"
"""Environment variable: 0 never compiles, 1 compiles at once; otherwise what is hot is compiled."""
HOT_S = 1.0
"""Seconds that a form takes eagerly before it is compiled, which takes seconds itself."""

Kind = Literal["weights", "change", "nothing"]
"""What a vector is: weights as they are stored, a change of the base in float32, or zeros."""
NumberKind = Literal["float", "cut", "chance"]

_log = logging.getLogger(__name__)


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
    """Merge into `out`, rounded once, and return the largest magnitude there (NaN if one is).

    All tensors are flat. `floats` (float32) and `integers` (int32) are packed: a float is one of
    the former, a chance one of the latter, a cut two and one (its limits before and behind its end,
    and the end, counted from the first element at hand). Draws take two keys an operand and the
    flat index of the first element.
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
        place = index + some_integers.take()
        numbers["draws"] = [draw(place, first, second) for first, second in keys]
    change = specialization.kernel(taus, numbers, *specialization.switches)
    merged = (change if base is None else base + change).to(out.dtype)
    out.copy_(merged)
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


def compiled(specialization: Specialization, device: torch.device) -> Callable[..., Tensor] | None:
    """`merge_range` of this form, compiled; None as long as it runs eagerly.

    On an accelerator, where an eager pass is many kernels, there is nothing to wait for.
    """
    return _heat(specialization).code(waits=device.type == "cpu")


def spent(specialization: Specialization, seconds: float) -> None:
    """Count the time that a form took eagerly."""
    _heat(specialization).spent(seconds)


class _Heat:
    """The time that a form has taken, and its compiled code once that is enough."""

    def __init__(self, specialization: Specialization) -> None:
        self._form = specialization
        limits = {"0": math.inf, "1": 0.0}
        self._left_s = limits.get(os.environ.get(COMPILE, ""), HOT_S)
        self._never = math.isinf(self._left_s)
        self._code: Callable[..., Tensor] | None = None

    def spent(self, seconds: float) -> None:
        self._left_s -= seconds

    def code(self, *, waits: bool) -> Callable[..., Tensor] | None:
        if self._code is None and (self._left_s <= 0 or not (waits or self._never)):
            self._code = self._compiled()
        return self._code

    def _compiled(self) -> Callable[..., Tensor]:
        specialization = self._form

        def specialised(*operands: Any) -> Tensor:
            return merge_range(specialization, *operands)

        # A code object of its own: what is compiled is kept, and counted, by code object.
        code = specialised.__code__
        specialised.__code__ = code.replace(
            co_name=getattr(specialization.kernel, "__name__", "kernel")
        )
        fused = torch.compile(specialised, dynamic=True, fullgraph=True)

        def first(*operands: Any) -> Tensor:
            try:
                found: Tensor = fused(*operands)
            except RuntimeError as problem:  # no C++ compiler, or none that works
                _log.warning("merging runs without torch.compile: %s", str(problem).split("\n")[0])
                self._code, self._left_s, self._never = None, math.inf, True
                return specialised(*operands)
            self._code = fused
            return found

        return first


@cache
def _heat(specialization: Specialization) -> _Heat:
    return _Heat(specialization)
