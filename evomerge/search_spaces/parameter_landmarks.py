"""Genomes of a parameter space that are worth trying first, by the weights of its parents."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from evomerge.recipe.genome import ChoiceGene, FloatGene, Genome
from evomerge.recipe.signature import Signature
from evomerge.search_spaces.parameter_config import takes
from evomerge.search_spaces.parameter_genes import OwnGene

__all__ = ["PAIRED", "alone", "at_weights", "sparsified", "summed", "uniform"]

PAIRED = 5
"""The most parents of which each pair is summed: 10 pairs."""


def at_weights(genes: Sequence[OwnGene], weights: Mapping[str, float]) -> Genome:
    """Neutral genes: the given weights, density 1, lambda 1, t one half, the first method."""
    genome: list[float | str] = []
    for own in genes:
        gene = own.gene
        if isinstance(gene, ChoiceGene):
            off = own.is_switch and weights[own.parent] == 0
            genome.append("off" if off else gene.choices[0])
            continue
        match own.parameter:
            case "weight":
                genome.append(gene.unit(weights[own.parent]))
            case "density" | "lambda":
                genome.append(gene.unit(1.0))
            case _:
                genome.append(0.5)
    return tuple(genome)


def uniform(genes: Sequence[OwnGene], parents: Sequence[str]) -> Genome:
    """Every parent at weight 1/n."""
    return at_weights(genes, dict.fromkeys(parents, 1 / len(parents)))


def alone(genes: Sequence[OwnGene], parents: Sequence[str]) -> Iterator[tuple[str, Genome]]:
    """Each parent, and the genome with it at weight 1 and the others at 0."""
    for parent in parents:
        yield parent, at_weights(genes, {name: float(name == parent) for name in parents})


def sparsified(
    genes: Sequence[OwnGene],
    parents: Sequence[str],
    methods: Sequence[Signature],
    density: float,
) -> dict[str, Genome]:
    """`sparsified:NAME`: that parent alone, as near to this density as the gene's range allows, by
    the first method that has one; {} where none has or the density is no gene."""
    having = [s for s in methods if takes(s.each, "density") or takes(s.shared, "density")]
    if not having or not _are_genes(genes, "weight", "density"):
        return {}
    marks = {}
    for parent, genome in alone(genes, parents):
        sparse = tuple(
            own.gene.unit(density)
            if isinstance(own.gene, FloatGene) and own.parameter == "density"
            else value
            for own, value in zip(genes, genome, strict=True)
        )
        marks[f"sparsified:{parent}"] = _by(genes, sparse, having[0])
    return marks


def summed(
    genes: Sequence[OwnGene], parents: Sequence[str], methods: Sequence[Signature]
) -> dict[str, Genome]:
    """`sum:all` (of two parents `sum:A+B`): every parent at weight 1, or as near as the gene's
    range allows; with up to `PAIRED` parents each pair of them as well, the others at 0. By the
    first method that has task vectors and a weight; {} where none has or the weight is no gene.
    """
    origins = ("origin", "optional_origin")
    having = [s for s in methods if s.base in origins and takes(s.each, "weight")]
    if not having or not _are_genes(genes, "weight"):
        return {}
    added: dict[str, Sequence[str]] = {"sum:all": parents} if len(parents) > 2 else {}
    if len(parents) <= PAIRED:
        pairs = itertools.combinations(parents, 2)
        added |= {f"sum:{first}+{second}": (first, second) for first, second in pairs}
    marks = {}
    for label, names in added.items():
        genome = at_weights(genes, {name: float(name in names) for name in parents})
        marks[label] = _by(genes, genome, having[0])
    return marks


def _are_genes(genes: Sequence[OwnGene], *parameters: str) -> bool:
    return set(parameters) <= {own.parameter for own in genes}


def _by(genes: Sequence[OwnGene], genome: Genome, method: Signature) -> Genome:
    """The genome, with this method where the method is a gene."""
    return tuple(
        method.name if own.parameter == "method" else value
        for own, value in zip(genes, genome, strict=True)
    )
