"""One pass over a tensor: read, combined by a kernel in float32, rounded once.

The same arithmetic runs eagerly, a block at a time so that what lies in between stays in cache, and
compiled (`torch.compile`), which fuses it into one loop on CPU and GPU. Both give the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from time import perf_counter

import torch
from torch import Tensor

from evomerge.merging.box import Runs
from evomerge.merging.compilation import PROCESS, Compilation
from evomerge.merging.draws import limit
from evomerge.merging.fusion import Kind, NumberKind, Specialization, merge_range
from evomerge.merging.memory import empty
from evomerge.operators.base import Bernoulli, Kernel, KernelPlan
from evomerge.operators.selection import BLOCK, Threshold

__all__ = ["USUAL", "Passes", "run", "weighted_sum"]


@dataclass(frozen=True, kw_only=True)
class Passes:
    """In which pieces tensors are merged, and by which code; results do not depend on it."""

    block: int = BLOCK
    """Elements merged at once where nothing is compiled, so that they stay in a CPU's cache."""
    largest: int = 1 << 30
    """Elements merged at once at the most: places are counted in int32."""
    compilation: Compilation = PROCESS


USUAL = Passes()


def weighted_sum(taus: Sequence[Tensor], numbers: Mapping[str, Sequence[Tensor]]) -> Tensor:
    """sum_i c_i tau_i: the kernel of every span method."""
    coefficients = numbers["coefficient"]
    change = taus[0] * coefficients[0]
    for tau, coefficient in zip(taus[1:], coefficients[1:], strict=True):
        change = change + tau * coefficient
    return change


def run(
    kernel: Kernel,
    plan: KernelPlan,
    origin: Tensor | None,
    vectors: Sequence[tuple[Kind, Tensor | None]],
    dtype: torch.dtype,
    keys: Sequence[tuple[int, int]] = (),
    out: Tensor | None = None,
    passes: Passes = USUAL,
    runs: Runs | None = None,
) -> tuple[Tensor, float]:
    """The merged tensor, rounded to `dtype`, and its largest magnitude (NaN if one is).

    Args:
        origin: the base's weights as stored; None where the vectors are weights to be combined.
        vectors: (kind, tensor) of the origin's shape; the tensor is None where it is nothing.
        keys: of the draws, a pair an operand, where the plan is random.
        out: where to write it, of this shape and type; a new tensor where left out.
        passes: in which pieces, and by which code.
        runs: where the elements lie in the tensor whose cuts and draws the plan has; None: they
            are all of it.
    """
    there = [tensor for _, tensor in vectors if tensor is not None]
    like = there[0] if origin is None else origin
    if out is None:
        out = empty(like.shape, dtype, like.device)
    size = out.numel()
    if not size:
        return out, 0.0
    packed = _Packed(plan, keys, passes, runs)
    specialization = Specialization(
        kernel=kernel,
        switches=plan.switches,
        kinds=tuple([kind for kind, _ in vectors]),
        based=origin is not None,
        numbers=tuple(packed.names),
        elements=tuple([(name, len(many)) for name, many in plan.elements.items()]),
        random=plan.random,
        apart=packed.apart,
    )
    flat = out.view(-1)
    base = None if origin is None else origin.view(-1)
    operands = [tensor.view(-1) for tensor in there]
    elements = [tensor.reshape(-1) for many in plan.elements.values() for tensor in many]
    # Compilers treat a size of 1 on its own.
    fused = passes.compilation.code(specialization, like.device) if size > 1 else None
    began = perf_counter()
    largest = []
    for start, end in _ranges(size, passes.largest) if fused else packed.uncut(size, like.device):
        floats, integers = packed.at(start, like.device, cut=fused is not None)
        part = slice(start, end)
        merge = fused or partial(merge_range, specialization.uncut())
        if end - start == size:
            largest.append(merge(base, operands, elements, floats, integers, flat))
            continue
        largest.append(
            merge(
                None if base is None else base[part],
                [tensor[part] for tensor in operands],
                [tensor[part] for tensor in elements],
                floats,
                integers,
                flat[part],
            )
        )
    if not fused:
        passes.compilation.spent(specialization, perf_counter() - began)
    highest = largest[0] if len(largest) == 1 else torch.stack(largest).amax()
    return out, float(highest.to(dtype))  # rounded as they are, so that it overflows as they do


class _Packed:
    """A plan's numbers, one after another, as `merge_range` takes them."""

    def __init__(
        self,
        plan: KernelPlan,
        keys: Sequence[tuple[int, int]],
        passes: Passes,
        runs: Runs | None,
    ) -> None:
        self._passes, self._runs = passes, runs
        self.apart = plan.random and runs is not None and runs.count > 1
        self.names: list[tuple[str, NumberKind, int]] = []
        self._numbers: list[float | Threshold | Bernoulli] = []
        self._keys = [key for pair in keys for key in pair] if plan.random else []
        for name, many in plan.numbers.items():
            kind = _kind(many)
            self.names.append((name, kind, len(many)))
            self._numbers += [self._as_cut(number) for number in many] if kind == "cut" else many

    def at(self, start: int, device: torch.device, *, cut: bool) -> tuple[Tensor, Tensor]:
        """(floats, integers) of a range that begins at the flat index `start`.

        `cut`: whether thresholds may end in it; otherwise each is one limit.
        """
        floats: list[float] = []
        integers: list[int] = []
        for number in self._numbers:
            match number:
                case Threshold() if cut:
                    floats += [number.below, number.value]
                    integers.append(min(max(number.end - start, 0), self._passes.largest))
                case Threshold():
                    floats.append(number.below if start < number.end else number.value)
                case Bernoulli():
                    integers.append(limit(number.keep))
                case _:
                    floats.append(number)
        if self._keys:
            integers += self._keys
            first = start
            if self._runs is not None:
                first = self._runs.start_of(start)
                lead = start % self._runs.width
                if self.apart:
                    integers += [lead, self._runs.width, self._runs.stride]
                else:
                    first += lead
            # Beyond 2^32 elements the draws begin anew.
            integers.append((first + (1 << 31)) % (1 << 32) - (1 << 31))
        return (
            torch.tensor(floats, dtype=torch.float32, device=device),
            torch.tensor(integers, dtype=torch.int32, device=device),
        )

    def uncut(self, size: int, device: torch.device) -> Iterator[tuple[int, int]]:
        """Ranges that stay in a CPU's cache and in which no threshold ends."""
        most = self._passes.block if device.type == "cpu" else self._passes.largest
        ends = {
            number.end
            for number in self._numbers
            if isinstance(number, Threshold) and number.end < size
        }
        bounds = sorted({*range(0, size, most), *ends, size})
        return pairwise(bounds)

    def _as_cut(self, number: float | Threshold | Bernoulli) -> Threshold | Bernoulli:
        """A number among thresholds is one limit for all elements; a threshold ends where it does
        among the elements at hand."""
        if isinstance(number, Bernoulli):
            return number
        if not isinstance(number, Threshold):
            return Threshold(number, 0)
        return replace(number, end=self._runs.before(number.end)) if self._runs else number


def _ranges(size: int, most: int) -> Iterator[tuple[int, int]]:
    for start in range(0, size, most):
        yield start, min(start + most, size)


def _kind(numbers: Sequence[float | Threshold | Bernoulli]) -> NumberKind:
    for number in numbers:
        if isinstance(number, Threshold):
            return "cut"
        if isinstance(number, Bernoulli):
            return "chance"
    return "float"
