"""Genes that leave a parent out of a group, and how names of genes are read."""

from __future__ import annotations

from collections.abc import Sequence

from evomerge.recipe.genome import ChoiceGene, Genome, Scalar

__all__ = ["ON", "SWITCH", "is_switch", "parameter_of", "switched_off", "whose"]

SWITCH = ("on", "off")
ON = "on"
"""What such a gene is called, as a parameter of the parent: `math.on@layers0-9`."""


def is_switch(gene: Scalar) -> bool:
    """Whether the gene leaves a parent out where it is `off`."""
    return isinstance(gene, ChoiceGene) and gene.choices == SWITCH


def parameter_of(gene: Scalar) -> str:
    """`weight` of `math.weight@layers0-9`."""
    return gene.name.split("@")[0].rpartition(".")[2]


def whose(gene: Scalar) -> tuple[str, str]:
    """(`math`, `layers0-9`) of `math.weight@layers0-9`: the parent, and the group or ''."""
    own, _, group = gene.name.partition("@")
    return own.rpartition(".")[0], group


def switched_off(genes: Sequence[Scalar], genome: Genome) -> frozenset[tuple[str, str]]:
    """The parents that are left out, each with the group in which it is."""
    pairs = zip(genes, genome, strict=True)
    return frozenset(whose(gene) for gene, value in pairs if is_switch(gene) and value == "off")
