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
    """Number of the layer; None outside the layers."""
    options: Mapping[str, Any]
    """The method's options for this tensor."""
    each: Mapping[str, Mapping[str, Any]]
    """Input -> its parameters for this tensor."""

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


def rules_of(tensors: Sequence[TensorParameters]) -> tuple[Rule, ...]:
    """Rules, the first that matches wins, that give every tensor its own parameters."""
    if len({tensor.key for tensor in tensors}) == 1:
        return (tensors[0].rule(Selector()),)
    rules = list(outside(tensors))
    for block in blocks(tensors):
        for rule in block.rules:
            where = rule.where.model_copy(update={"layers": block.layers})
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
    """The layers in their order, in as few blocks as there are."""
    layers: dict[int, list[TensorParameters]] = {}
    for tensor in tensors:
        if tensor.layer is not None:
            layers.setdefault(tensor.layer, []).append(tensor)
    ordered = sorted(layers.items())
    for _, run in groupby(ordered, lambda item: [(tensor.kind, tensor.key) for tensor in item[1]]):
        members = list(run)
        yield RuleBlock((members[0][0], members[-1][0] + 1), tuple(_of_layer(members[0][1])))


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
