"""From the parameters of every tensor to a few rules that say the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from evomerge.recipe.digest import canonical_json
from evomerge.recipe.selector import Selector, Tower
from evomerge.recipe.tree import Rule

__all__ = ["RuleBlock", "TensorParameters", "blocks", "outside", "rules_of"]


@dataclass(frozen=True)
class TensorParameters:
    """What a method gets for one tensor."""

    kind: str
    """The tensor's name after its layer's number; outside the layers all of its name."""
    layer: int | None
    """Number of the layer; None outside the layers."""
    options: Mapping[str, Any]
    """The method's options for this tensor."""
    each: Mapping[str, Mapping[str, Any]]
    """Input -> its parameters for this tensor."""
    tower: Tower | None = None
    """Where the layer is counted in another tower than the main one."""

    @property
    def key(self) -> str:
        """Equal for tensors of equal parameters."""
        return canonical_json([self.options, self.each])

    def rule(self, where: Selector) -> Rule:
        """The rule that gives these parameters to the tensors that `where` selects."""
        return Rule(where=where, options=self.options, inputs=self.each)


@dataclass(frozen=True)
class RuleBlock:
    """A run of layers in which every kind of tensor has the same parameters."""

    layers: tuple[int, int]
    rules: tuple[Rule, ...]
    """One rule by name for each exception; the last is for all other tensors."""
    tower: Tower | None = None
    """Where the layers are counted; None for the main tower."""


def rules_of(tensors: Sequence[TensorParameters]) -> tuple[Rule, ...]:
    """Rules, the first that matches wins, that give every tensor its own parameters."""
    if len({tensor.key for tensor in tensors}) == 1:
        return (tensors[0].rule(Selector()),)
    rules = list(outside(tensors))
    for block in blocks(tensors):
        for rule in block.rules:
            where = rule.where.model_copy(update={"layers": block.layers, "tower": block.tower})
            rules.append(rule.model_copy(update={"where": where}))
    # Whatever is left by then are the last block's tensors.
    last = rules[-1].model_copy(update={"where": Selector()})
    return (*rules[:-1], last)


def outside(tensors: Sequence[TensorParameters]) -> tuple[Rule, ...]:
    """A rule for each tensor outside the layers."""
    return tuple(
        tensor.rule(Selector(name=tensor.kind)) for tensor in tensors if tensor.layer is None
    )


def blocks(tensors: Sequence[TensorParameters]) -> Iterator[RuleBlock]:
    """Tower by tower (the main one first) the layers in their order, in as few blocks as there
    are."""
    layers: dict[tuple[str, int], list[TensorParameters]] = {}
    for tensor in tensors:
        if tensor.layer is not None:
            layers.setdefault((tensor.tower or "", tensor.layer), []).append(tensor)
    for _, run in groupby(sorted(layers.items()), lambda item: (item[0][0], _alike(item[1]))):
        members = list(run)
        span = (members[0][0][1], members[-1][0][1] + 1)
        of_first = members[0][1]
        yield RuleBlock(span, tuple(_of_layer(of_first)), of_first[0].tower)


def _alike(tensors: Sequence[TensorParameters]) -> list[tuple[str, str]]:
    """Equal for layers in which every kind of tensor has the same parameters."""
    return [(tensor.kind, tensor.key) for tensor in tensors]


def _of_layer(tensors: Sequence[TensorParameters]) -> Iterator[Rule]:
    """Rules by name for the exceptions, then one for the rest."""
    common = Counter(tensor.key for tensor in tensors).most_common(1)[0][0]
    done: set[str] = set()
    # A name may be the end of a longer one, which has to be asked for first.
    for tensor in sorted(tensors, key=lambda other: -len(other.kind)):
        part = tensor.kind.split(".")[0]
        siblings = {other.key for other in tensors if other.kind.split(".")[0] == part}
        name = f".{part}." if len(siblings) == 1 and "." in tensor.kind else tensor.kind
        if tensor.key != common and name not in done:
            done.add(name)
            yield tensor.rule(Selector(name=name))
    yield next(tensor for tensor in tensors if tensor.key == common).rule(Selector())
