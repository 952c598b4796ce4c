"""Where a search begins and how wide, by what is said of the genes: as numbers and as samples."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from evomerge.recipe.genome import ChoiceGene, Genome, Scalar

__all__ = [
    "at_quantiles",
    "first_steps",
    "initial_distribution",
    "sample_initial",
    "says_where",
]


def initial_distribution(genes: Sequence[Scalar], mean: float, sigma: float) -> NDArray[np.float64]:
    """(genes,): `mean`, but a float's start, and where N(., sigma^2) gives a choice its odds.

    Exactly so for two choices, x > 0.5 being the second. The intervals of more lie in a row, and
    one mean cannot give them any odds: theirs is the mean of the intervals' middles.
    """
    return np.array([_initial_mean(gene, mean, sigma) for gene in genes])


def says_where(genes: Sequence[Scalar]) -> NDArray[np.bool_]:
    """(genes,): which say where a search begins, by a start or by odds."""
    return np.array([(g.odds if isinstance(g, ChoiceGene) else g.start) is not None for g in genes])


def first_steps(genes: Sequence[Scalar], importance: Sequence[float] | None) -> NDArray[np.float64]:
    """(genes,) in (0, 1]: the first steps of floats as shares of sigma, the square roots of their
    importance over the largest; 1 where nothing is known of it.

    The root keeps a wrong prior from costing much: of a gene with the least importance, 0.05, the
    first steps are 0.22 of the others', and the distribution widens them where that helps. A
    choice, whose steps are odds, has whole ones.
    """
    if importance is None:
        return np.ones(len(genes))
    roots = np.sqrt(importance)
    is_choice = np.array([isinstance(gene, ChoiceGene) for gene in genes])
    return np.where(is_choice, 1.0, roots / max(roots[~is_choice], default=1.0))


def sample_initial(genes: Sequence[Scalar], sigma: float, rng: np.random.Generator) -> Genome:
    """Independent values: of a choice by its odds, of a float normal around its start.

    Without odds or a start uniform.
    """
    return at_quantiles(genes, sigma, rng.random(len(genes)))


def at_quantiles(genes: Sequence[Scalar], sigma: float, point: NDArray[np.float64]) -> Genome:
    """The genome at `point` (genes,) of the unit cube, each coordinate the quantile of its gene's
    distribution as `sample_initial` draws from it.
    """
    return tuple(_quantile(gene, sigma, float(u)) for gene, u in zip(genes, point, strict=True))


def _quantile(gene: Scalar, sigma: float, u: float) -> float | str:
    if isinstance(gene, ChoiceGene):
        odds = gene.odds or (1 / len(gene.choices),) * len(gene.choices)
        place = int(np.searchsorted(np.cumsum(odds), u, side="right"))
        return gene.choices[min(place, len(gene.choices) - 1)]
    if gene.start is None or not 0 < u < 1:
        return u
    return min(max(NormalDist(gene.unit(gene.start), sigma).inv_cdf(u), 0.0), 1.0)


def _initial_mean(gene: Scalar, mean: float, sigma: float) -> float:
    if not isinstance(gene, ChoiceGene):
        return mean if gene.start is None else gene.unit(gene.start)
    if gene.odds is None:
        return mean
    if len(gene.odds) == 2:
        return 0.5 + sigma * NormalDist().inv_cdf(gene.odds[1])
    middles = (np.arange(len(gene.odds)) + 0.5) / len(gene.odds)
    return float(middles @ gene.odds)
