"""One pass over a tensor: read, combined by a kernel in float32, rounded once.

The same arithmetic runs eagerly, a block at a time so that what lies in between stays in cache, and
compiled (`torch.compile`), which fuses it into one loop on CPU and GPU. Both give the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from evomerge.merging.draws import limit
from evomerge.merging.fusion import Form, Kind, NumberKind, compiled, merge_range
from evomerge.merging.operators.base import Chance, Kernel, Plan
from evomerge.merging.selection import BLOCK, Threshold

__all__ = ["run", "weighted_sum"]

LARGEST_RANGE = 1 << 30
"""Elements that are merged at once at the most: places are counted in int32."""


def weighted_sum(taus: Sequence[Tensor], numbers: Mapping[str, Sequence[Tensor]]) -> Tensor:
    """sum_i c_i tau_i: the kernel of every span method."""
    coefficients = numbers["coefficient"]
    change = taus[0] * coefficients[0]
    for tau, coefficient in zip(taus[1:], coefficients[1:], strict=True):
        change = change + tau * coefficient
    return change


def run(
    kernel: Kernel,
    plan: Plan,
    origin: Tensor | None,
    vectors: Sequence[tuple[Kind, Tensor | None]],
    dtype: torch.dtype,
    keys: Sequence[tuple[int, int]] = (),
) -> tuple[Tensor, float]:
    """The merged tensor, new and rounded to `dtype`, and its largest magnitude (NaN if one is).

    Args:
        origin: the base's weights as stored; None where the vectors are weights to be combined.
        vectors: (kind, tensor) of the origin's shape; the tensor is None where it is nothing.
        keys: of the draws, a pair an operand, where the plan is random.
    """
    there = [tensor for _, tensor in vectors if tensor is not None]
    like = there[0] if origin is None else origin
    out = torch.empty(like.shape, dtype=dtype, device=like.device)
    size = out.numel()
    if not size:
        return out, 0.0
    packed = _Packed(plan, keys)
    form = Form(
        kernel=kernel,
        switches=plan.switches,
        kinds=tuple([kind for kind, _ in vectors]),
        based=origin is not None,
        numbers=tuple(packed.names),
        elements=tuple([(name, len(many)) for name, many in plan.elements.items()]),
        random=plan.random,
    )
    fused = compiled(form, size)
    merge = fused or partial(merge_range, form)
    flat = out.view(-1)
    base = None if origin is None else origin.view(-1)
    operands = [tensor.view(-1) for tensor in there]
    elements = [tensor.reshape(-1) for many in plan.elements.values() for tensor in many]
    floats = torch.tensor(packed.floats, dtype=torch.float32, device=like.device)
    largest = []
    for start in range(0, size, LARGEST_RANGE if fused else BLOCK):
        integers = packed.integers(start, like.device)
        if not start and (fused or size <= BLOCK):  # all at once, as most tensors are
            largest.append(merge(base, operands, elements, floats, integers, flat))
            continue
        part = slice(start, start + (LARGEST_RANGE if fused else BLOCK))
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
    return out, float(largest[0] if len(largest) == 1 else torch.stack(largest).amax())


class _Packed:
    """A plan's numbers, one after another, as `merge_range` takes them."""

    def __init__(self, plan: Plan, keys: Sequence[tuple[int, int]]) -> None:
        self.names: list[tuple[str, NumberKind, int]] = []
        self.floats: list[float] = []
        self._fixed: list[int | Threshold] = []
        self._keys = [key for pair in keys for key in pair] if plan.random else []
        for name, many in plan.numbers.items():
            kind = _kind(many)
            self.names.append((name, kind, len(many)))
            for one in many:
                self._add(kind, one)

    def _add(self, kind: NumberKind, one: float | Threshold | Chance) -> None:
        match one:
            case Threshold():
                self.floats += [one.below, one.value]
                self._fixed.append(one)
            case Chance():
                self._fixed.append(limit(one.keep))
            case _ if kind == "cut":
                self.floats += [one, one]
                self._fixed.append(0)
            case _:
                self.floats.append(one)

    def integers(self, start: int, device: torch.device) -> Tensor:
        """int32, for a range that begins at the flat index `start`."""
        found = [
            min(max(one.end - start, 0), LARGEST_RANGE) if isinstance(one, Threshold) else one
            for one in self._fixed
        ]
        if self._keys:
            # Beyond 2^32 elements the draws begin anew.
            found += [*self._keys, (start + (1 << 31)) % (1 << 32) - (1 << 31)]
        return torch.tensor(found, dtype=torch.int32, device=device)


def _kind(numbers: Sequence[float | Threshold | Chance]) -> NumberKind:
    for one in numbers:
        if isinstance(one, Threshold):
            return "cut"
        if isinstance(one, Chance):
            return "chance"
    return "float"
