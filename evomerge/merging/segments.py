"""Weights that are sums with coefficients constant in ranges of the flat vector."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evomerge.errors import CandidateError
from evomerge.merging.bank import Bank
from evomerge.merging.box import Box
from evomerge.merging.fusion import Kind
from evomerge.merging.kernel import run, weighted_sum
from evomerge.merging.memory import empty
from evomerge.merging.node import Weights
from evomerge.models.flat import embedding_of, flat_of
from evomerge.operators.base import KernelPlan
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Chromosome, Segments

__all__ = ["Pieces"]


@dataclass(frozen=True)
class Pieces:
    """A segments recipe over a bank: a tensor is summed range by range, where ranges end in it."""

    segments: Segments
    bank: Bank
    inputs: Mapping[str, Weights]
    """The recipe's inputs, ready in the same way."""

    def value(
        self, name: str, dtype: torch.dtype = torch.float32, box: Box | None = None
    ) -> Tensor:
        """The tensor, summed in float32 and rounded once; the caller's to change.

        `box`: what is wanted of it; no more is summed where the box lies in even runs.
        """
        runs = box.runs if box is not None else None
        if box is not None and runs is None:
            return box.of(self.value(name, dtype))
        name = embedding_of(name, self.segments.inputs[self.segments.base], self.bank) or name
        number, start = self._places[name]
        chromosome = self.segments.chromosomes[number]
        ends = self._ends[number]
        weights = _Lazy(lambda input_name: self._weights(input_name, name, box))
        like = weights[self.segments.base]
        size = math.prod(box.shape) if box is not None else like.numel()
        first = int(np.searchsorted(ends, start, side="right"))
        last = int(np.searchsorted(ends, start + size))
        out = empty(like.shape, dtype, like.device)
        for row in range(first, last + 1):
            begin = max(int(ends[row - 1]) - start, 0) if row else 0
            end = min(int(ends[row]) - start, size)
            if runs is not None:
                begin, end = runs.before(begin), runs.before(end)
                if begin == end:
                    continue
            part = slice(begin, end)
            if not math.isfinite(self._sum(chromosome, row, weights, part, out.view(-1)[part])):
                raise CandidateError(f"the merged tensor {name!r} is not finite")
        return out

    def _sum(
        self,
        chromosome: Chromosome,
        row: int,
        weights: Mapping[str, Tensor],
        part: slice,
        out: Tensor,
    ) -> float:
        """Write the sum in one range; its largest magnitude. Who has no share is not read."""
        shares = {
            input_name: many[row]
            for input_name, many in sorted(chromosome.coefficients.items())
            if many[row]
        } or {self.segments.base: 0.0}
        vectors: list[tuple[Kind, Tensor]] = [
            ("weights", weights[input_name].view(-1)[part]) for input_name in shares
        ]
        plan = KernelPlan(numbers={"coefficient": list(shares.values())})
        _, largest = run(
            weighted_sum, plan, None, vectors, out.dtype, out=out, passes=self.bank.passes
        )
        return largest

    def _weights(self, input_name: str, name: str, box: Box | None) -> Tensor:
        source = self.segments.inputs[input_name]
        if isinstance(source, Source):
            return self.bank.weights(source, name, box).contiguous()
        return self.inputs[input_name](name, torch.float32, box)

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        """Tensor -> its chromosome's number and where it begins there."""
        flats = flat_of(self.segments, "segments", self.bank)
        return {
            name: (i, start) for i, flat in enumerate(flats) for name, start in flat.starts.items()
        }

    @cached_property
    def _ends(self) -> list[NDArray[np.int64]]:
        return [
            np.array(chromosome.ends, dtype=np.int64) for chromosome in self.segments.chromosomes
        ]


class _Lazy(dict[str, Tensor]):
    """An input's tensor, found when it is first asked for."""

    def __init__(self, find: Callable[[str], Tensor]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, input_name: str) -> Tensor:
        self[input_name] = self._find(input_name)
        return self[input_name]
