"""From the parameters of every tensor to a few rules that say the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from evomerge.recipe.digest import canonical_json
from evomerge.recipe.selector import Selector
from evomerge.recipe.tree import Rule

__all__ = ["RuleBlock", "TensorParameters", "blocks", "outside", "rules_of"]


@dataclass(frozen=True)
class TensorParameters:
    """What a method gets for one tensor."""

    kind: str
    """The tensor's name after its layer's number; outside the layers all of its name."""
    layer: int | None
    options: Mapping[str, Any]
    each: Mapping[str, Mapping[str, Any]]

    @property
    def key(self) -> str:
        return canonical_json([self.options, self.each])

    def rule(self, where: Selector) -> Rule:
        return Rule(where=where, options=self.options, inputs=self.each)


@dataclass(frozen=True)
class RuleBlock:
    """A run of layers in which every kind of tensor has the same parameters."""

    layers: tuple[int, int]
    rules: tuple[Rule, ...]
    """By name where parameters differ; the last one is the rest's."""


def rules_of(tensors: Sequence[TensorParameters]) -> tuple[Rule, ...]:
    """Rules, the first that matches wins, that give every tensor its own parameters."""
    if len({one.key for one in tensors}) == 1:
        return (tensors[0].rule(Selector()),)
    found = list(outside(tensors))
    for block in blocks(tensors):
        for rule in block.rules:
            where = rule.where.model_copy(update={"layers": block.layers})
            found.append(rule.model_copy(update={"where": where}))
    # Whatever is left by then are the last block's tensors.
    last = found[-1].model_copy(update={"where": Selector()})
    return (*found[:-1], last)


def outside(tensors: Sequence[TensorParameters]) -> tuple[Rule, ...]:
    """A rule for each tensor outside the layers."""
    return tuple(one.rule(Selector(name=one.kind)) for one in tensors if one.layer is None)


def blocks(tensors: Sequence[TensorParameters]) -> Iterator[RuleBlock]:
    """The layers in their order, in as few blocks as there are."""
    layers: dict[int, list[TensorParameters]] = {}
    for one in tensors:
        if one.layer is not None:
            layers.setdefault(one.layer, []).append(one)
    ordered = sorted(layers.items())
    for _, run in groupby(ordered, lambda item: [(one.kind, one.key) for one in item[1]]):
        members = list(run)
        yield RuleBlock((members[0][0], members[-1][0] + 1), tuple(_of_layer(members[0][1])))


def _of_layer(tensors: Sequence[TensorParameters]) -> Iterator[Rule]:
    """Rules by name for the exceptions, then one for the rest."""
    common = Counter(one.key for one in tensors).most_common(1)[0][0]
    done: set[str] = set()
    # A name may be the end of a longer one, which has to be asked for first.
    for one in sorted(tensors, key=lambda one: -len(one.kind)):
        part = one.kind.split(".")[0]
        siblings = {other.key for other in tensors if other.kind.split(".")[0] == part}
        name = f".{part}." if len(siblings) == 1 and "." in one.kind else one.kind
        if one.key != common and name not in done:
            done.add(name)
            yield one.rule(Selector(name=name))
    yield next(one for one in tensors if one.key == common).rule(Selector())
