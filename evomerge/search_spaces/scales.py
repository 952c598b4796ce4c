"""What multiplies the input of a step: nothing, a number for each slot or pair, or a network.

Akiba et al. (2403.13187), data flow space: a matrix W in R^(M x M) whose entry (i, j) multiplies
what goes from layer i to layer j, or, where M is large, W_ij = pi_theta(i, j, t), a small
feed-forward network of the two layers and the step t. The first step's scale is 1.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Protocol, assert_never

from pydantic import Field

from evomerge.recipe.genome import FloatGene
from evomerge.search_spaces.slots import Slots, Step
from evomerge.value import Value

__all__ = ["Network", "ScaleGenes", "ScaleRange", "ScaleRule", "scale_genes"]

ScaleRule = Literal["none", "per_hop", "pair", "network"]


class ScaleRange(Value):
    """The range of every scale; it holds 1, where a search begins."""

    short_form: ClassVar[Mapping[str, Any]] = {
        "type": "array",
        "items": {"type": "number"},
        "minItems": 2,
        "maxItems": 2,
        "description": "The smallest and the largest scale.",
    }

    low: float = 0.5
    """The smallest scale."""
    high: float = 1.5
    """The largest scale."""


class Network(Value):
    """pi_theta: inputs i, j and t, each in [-1, 1], one hidden layer of tanh, one output."""

    hidden: Annotated[int, Field(ge=1)] = 4
    """Number of units in the hidden layer."""
    bound: Annotated[float, Field(gt=0)] = 2.0
    """Every weight lies in [-bound, bound]; all begin at 0, where every scale is 1."""


class ScaleGenes(Protocol):
    """The genes of one rule, and what they mean along a path."""

    @property
    def genes(self) -> tuple[FloatGene, ...]:
        """In the order of the genome."""

    def scales(self, path: Sequence[Step], values: Mapping[str, float]) -> list[float]:
        """One for each step; `values`: gene name -> value in the gene's own unit."""

    def used(self, path: Sequence[Step]) -> frozenset[str]:
        """The genes that a path depends on, by name."""

    def values(self, path: Sequence[Step], scales: Sequence[float]) -> Mapping[str, float] | None:
        """Genes that give these scales, those that matter; None where the rule cannot."""


def scale_genes(rule: ScaleRule, slots: Slots, span: ScaleRange, network: Network) -> ScaleGenes:
    """The genes of a rule."""
    match rule:
        case "none":
            return _Fixed()
        case "per_hop":
            return _PerHop(slots, span)
        case "pair":
            return _Pair(slots, span)
        case "network":
            return _Net(slots, span, network)
        case _:
            assert_never(rule)


class _Fixed:
    genes: tuple[FloatGene, ...] = ()

    def scales(self, path: Sequence[Step], values: Mapping[str, float]) -> list[float]:
        return [1.0] * len(path)

    def used(self, path: Sequence[Step]) -> frozenset[str]:
        return frozenset()

    def values(self, path: Sequence[Step], scales: Sequence[float]) -> Mapping[str, float] | None:
        return {} if all(scale == 1 for scale in scales) else None


class _Named(ABC):
    """A gene for each step but the first, by a name that depends on where it comes from."""

    genes: tuple[FloatGene, ...]

    @abstractmethod
    def _name(self, before: Step, step: Step) -> str:
        """Name of the gene that scales the input of `step` after the step `before`."""

    def _names(self, path: Sequence[Step]) -> list[str]:
        return [self._name(before, step) for before, step in itertools.pairwise(path)]

    def scales(self, path: Sequence[Step], values: Mapping[str, float]) -> list[float]:
        return [1.0, *(values[name] for name in self._names(path))]

    def used(self, path: Sequence[Step]) -> frozenset[str]:
        return frozenset(self._names(path))

    def values(self, path: Sequence[Step], scales: Sequence[float]) -> Mapping[str, float] | None:
        genes: dict[str, float] = {}
        for name, scale in zip(self._names(path), scales[1:], strict=True):
            if genes.setdefault(name, scale) != scale:
                return None
        return genes if scales[0] == 1 else None


class _PerHop(_Named):
    def __init__(self, slots: Slots, span: ScaleRange) -> None:
        self._slots = slots
        names = [f"scale@{slots.name(slot)}" for slot in range(slots.count)]
        self.genes = tuple(_gene(name, span) for name in [*names, *["scale@last"] * slots.last])

    def _name(self, before: Step, step: Step) -> str:
        return "scale@last" if step.slot is None else f"scale@{self._slots.name(step.slot)}"


class _Pair(_Named):
    def __init__(self, slots: Slots, span: ScaleRange) -> None:
        self._pool = slots.pool.blocks
        places = range(len(self._pool))
        self.genes = tuple(_gene(self._of(i, j), span) for i in places for j in places)

    def _name(self, before: Step, step: Step) -> str:
        return self._of(before.place, step.place)

    def _of(self, i: int, j: int) -> str:
        return f"scale@{self._pool[i]}>{self._pool[j]}"


class _Net:
    _INPUTS = ("i", "j", "t", "bias")

    def __init__(self, slots: Slots, span: ScaleRange, network: Network) -> None:
        self._last_place = len(slots.pool.blocks) - 1
        self._last_step = slots.count + slots.first + slots.last - 1
        self._span = span
        self._hidden = range(network.hidden)
        names = [f"network.{k}.{part}" for k in self._hidden for part in (*self._INPUTS, "out")]
        bound = network.bound
        self.genes = tuple(
            FloatGene(name=name, low=-bound, high=bound, start=0.0)
            for name in [*names, "network.bias"]
        )

    def scales(self, path: Sequence[Step], values: Mapping[str, float]) -> list[float]:
        return [
            1.0,
            *(
                self._scale(before.place, step.place, t, values)
                for t, (before, step) in enumerate(itertools.pairwise(path), start=1)
            ),
        ]

    def used(self, path: Sequence[Step]) -> frozenset[str]:
        return frozenset(gene.name for gene in self.genes)

    def values(self, path: Sequence[Step], scales: Sequence[float]) -> Mapping[str, float] | None:
        if any(scale != 1 for scale in scales):
            return None  # many networks give the same scales, and most scales have none
        return {gene.name: 0.0 for gene in self.genes}

    def _scale(self, i: int, j: int, t: int, values: Mapping[str, float]) -> float:
        inputs = (
            2 * i / max(self._last_place, 1) - 1,
            2 * j / max(self._last_place, 1) - 1,
            2 * t / max(self._last_step, 1) - 1,
            1.0,
        )
        total = 1.0 + values["network.bias"]
        for k in self._hidden:
            weights = (values[f"network.{k}.{part}"] for part in self._INPUTS)
            summed = math.fsum(w * x for w, x in zip(weights, inputs, strict=True))
            total += values[f"network.{k}.out"] * math.tanh(summed)
        return min(max(total, self._span.low), self._span.high)


def _gene(name: str, span: ScaleRange) -> FloatGene:
    return FloatGene(name=name, low=span.low, high=span.high, start=1.0)
