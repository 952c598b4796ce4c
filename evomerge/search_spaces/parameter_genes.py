"""The genes of a parameter space, and what each of them is of.

`math.weight@layers0-9` is a parent's parameter in a group, `lambda@layers0-9` a shared one,
`math.on@layers0-9` a switch that leaves the parent out there, `method` the choice of the method. A
source may be called anything, `math@v2.1` too, so that nothing is ever read off a gene's name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from evomerge.recipe.genome import ChoiceGene, FloatGene, Scalar
from evomerge.recipe.signature import Signature
from evomerge.search_spaces.groups import Group
from evomerge.search_spaces.parameter_config import Range, takes

__all__ = ["ON", "SWITCH", "OwnGene", "own_genes"]

SWITCH = ("on", "off")
ON = "on"
"""What such a gene is called, as a parameter of the parent."""

NOTHING = Group("", ())
"""A group of no tensor."""


@dataclass(frozen=True)
class OwnGene:
    """A gene and what it is of."""

    gene: Scalar
    parameter: str
    """`weight`; of a switch `on`, of the method's gene `method`."""
    parent: str = ""
    """Empty: it is of all parents."""
    group: Group = NOTHING
    """The method's gene is of none."""

    @property
    def is_switch(self) -> bool:
        """Whether it leaves its parent out of its group where it is `off`."""
        return isinstance(self.gene, ChoiceGene) and self.gene.choices == SWITCH


def own_genes(
    groups: Sequence[Group],
    parents: Sequence[str],
    ranges: Mapping[str, Range],
    methods: Sequence[Signature],
    *,
    switches: bool,
) -> Iterator[OwnGene]:
    """The method's gene first (where there are several), then group by group."""
    if len(methods) > 1:
        names = tuple(signature.name for signature in methods)
        yield OwnGene(ChoiceGene(name="method", choices=names), "method")
    for group in groups:
        for parent in parents if switches else ():
            gene = ChoiceGene(name=group.gene(f"{parent}.{ON}"), choices=SWITCH)
            yield OwnGene(gene, ON, parent, group)
        for parameter, bounds in ranges.items():
            is_each = any(takes(signature.each, parameter) for signature in methods)
            for parent in parents if is_each else ("",):
                name = f"{parent}.{parameter}" if parent else parameter
                float_gene = FloatGene(name=group.gene(name), **bounds.model_dump())
                yield OwnGene(float_gene, parameter, parent, group)
