"""A Gaussian process's kernel over genes, whose length scales grow with their number.

It is imported when a `bayes` optimizer is made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import Kernel
from gpytorch.priors import LogNormalPrior
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["GeneKernel", "length_medians"]

SHORTEST = 2.5e-2
"""The least length scale, as BoTorch has it."""


def length_medians(genes: int, importance: Sequence[float] | None) -> NDArray[np.float64]:
    """(genes,): the median of each length scale's prior, in units of a gene's range.

    Hvarfner et al. 2024, section 4: exp(sqrt 2) sqrt(genes), so that a model does not grow more
    complex with the number of genes. With an importance a they are as 1 / sqrt(a), and the sum of
    their inverse squares stays what it is without: the less most genes matter, the shorter are the
    others' length scales, as in a problem with fewer genes. The prior is as wide as without, and
    the root keeps the whole range of importance within one of its deviations, so that results can
    overrule it (with 1 / a a wrong one was believed after 120 candidates, tried).
    """
    flat = math.exp(math.sqrt(2)) * math.sqrt(genes)
    shares = np.ones(genes) if importance is None else np.array(importance)
    medians: NDArray[np.float64] = flat * np.sqrt(np.mean(shares) / shares)
    return medians


class GeneKernel(Kernel):
    """exp(-d^2 / 2), d^2 the sum over genes of (distance / length scale)^2: one length scale a
    gene, however many columns it has."""

    def __init__(self, gene: Tensor, medians: Tensor) -> None:
        super().__init__()
        prior = LogNormalPrior(medians.log(), math.sqrt(3))
        self.register_buffer("gene", gene)
        mode = prior.mode.clamp(2 * SHORTEST)
        self.register_parameter("log_lengths", torch.nn.Parameter(mode.log()))
        self.register_prior("length_prior", prior, _lengths, _set_lengths)
        self.register_constraint("log_lengths", GreaterThan(math.log(SHORTEST), transform=None))

    @property
    def lengths(self) -> Tensor:
        """(genes,): the length scales."""
        lengths: Tensor = self.log_lengths.exp()
        return lengths

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: Any) -> Tensor:
        """(..., n, m), or (..., n) where `diag` is true."""
        scale = self.lengths[self.gene]
        distance = self.covar_dist(x1 / scale, x2 / scale, square_dist=True, diag=diag, **params)
        kernel: Tensor = distance.div(-2).exp()
        return kernel


def _lengths(kernel: Any) -> Tensor:
    lengths: Tensor = kernel.lengths
    return lengths


def _set_lengths(kernel: Any, lengths: Tensor) -> None:
    kernel.initialize(log_lengths=lengths.clamp(2 * SHORTEST).log())
