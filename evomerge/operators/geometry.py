"""Weights that follow from how far and in which directions the experts moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from evomerge.operators.base import Coefficients, Gram, TensorContext, operator
from evomerge.operators.parameters import Nothing, divided
from evomerge.value import Value

__all__ = ["delta_weighted", "model_stock", "varm"]


class ModelStockOptions(Value):
    """Options of `model_stock`."""

    scope: Literal["tensor", "row"] = "tensor"
    """What has an angle: a tensor as a whole, or each of its rows (`filter_wise`)."""
    kappa: float = Field(1.0, ge=0.0)
    """Multiplies the ratio t, which is then held to at most 1.2; 1 is the paper's."""


@operator(
    "model_stock",
    family="span",
    base="origin",
    shared=ModelStockOptions,
    each=Nothing,
    min_inputs=2,
    citation="Jang, Yun & Han, Model Stock, ECCV 2024, arXiv 2403.19522",
    search_ranges={"kappa": (0.5, 2.0)},
)
def model_stock(
    options: ModelStockOptions, each: Sequence[Nothing], context: TensorContext
) -> Coefficients:
    """The experts' mean, pulled back to the base as far as they disagree.

    t = T c / (1 + (T - 1) c) with c the mean cosine between task vectors (equation 5 for T = 2;
    the mean over pairs is mergekit's), held to [0, 1]: below 0 the step would lead away from every
    expert. th = th_0 + t * mean_i tau_i.
    """
    if options.scope == "row":
        rows = [_stock(gram, options.kappa) for gram in context.row_gram()]
        return np.tile(np.array(rows), (len(each), 1)) / len(each)
    return [_stock(context.gram(), options.kappa) / len(each)] * len(each)


def _stock(gram: Gram, kappa: float) -> float:
    count = len(gram)
    lengths = np.sqrt(np.maximum(np.diag(gram), 0.0))
    pairs = [(i, j) for i in range(count) for j in range(i) if lengths[i] and lengths[j]]
    if not pairs:
        return 0.0
    cosine = sum(gram[i, j] / (lengths[i] * lengths[j]) for i, j in pairs) / len(pairs)
    held = min(max(float(cosine), 0.0), 1.0)
    return min(kappa * count * held / (1.0 + (count - 1) * held), 1.2)


class VarmOptions(Value):
    """Options of `varm`."""

    kappa: float = 1.0
    """Exponent of the energies; 0 gives the plain mean."""


@operator(
    "varm",
    family="span",
    base="origin",
    shared=VarmOptions,
    each=Nothing,
    citation="Wan et al., FuseChat v1 (VaRM), 2024, arXiv 2402.16107",
    search_ranges={"kappa": (-1.0, 2.0)},
)
def varm(options: VarmOptions, each: Sequence[Nothing], context: TensorContext) -> list[float]:
    """Each expert weighted by how much fine-tuning moved the tensor (variation ratio).

    a_i = e_i / sum_j e_j with e_i the mean square of tau_i. The formula, not the released script,
    whose weights come out equal.
    """
    return _shares(np.diag(context.gram()), options.kappa)


class DeltaWeightedOptions(Value):
    """Options of `delta_weighted`."""

    kappa: float = 1.0
    """Exponent of the norms: 0 gives the plain mean; below 0, models that moved less weigh more."""
    q: Literal["1", "2", "inf"] = "1"
    """The norm that measures how far a tensor moved: L1, L2, or the largest magnitude."""


@operator(
    "delta_weighted",
    family="span",
    base="origin",
    shared=DeltaWeightedOptions,
    each=Nothing,
    citation="in the spirit of Zhang et al., CoDiEmb, 2025, arXiv 2508.11442",
    search_ranges={"kappa": (-2.0, 3.0)},
)
def delta_weighted(
    options: DeltaWeightedOptions, each: Sequence[Nothing], context: TensorContext
) -> list[float]:
    """Each checkpoint weighted by a norm of its change of the tensor (delta-guided fusion).

    a_i = d_i^kappa / sum_j d_j^kappa with d_i the q-norm of tau_i; q = 2 and kappa = 2 is `varm`.
    Nest it to fuse the checkpoints of each training run first. The formula is evomerge's: the
    paper's could not be read.
    """
    norms = np.array([context.norm(i, float(options.q)) for i in range(len(each))])
    return _shares(norms, options.kappa)


def _shares(sizes: NDArray[np.float64], kappa: float) -> list[float]:
    """sizes^kappa over their sum; equal where nothing moved.

    Below 0 a size of 0 would take all: sizes are held to at least 1e-3 of their mean.
    """
    if kappa == 0 or not sizes.any():
        return [1.0 / len(sizes)] * len(sizes)
    held = np.maximum(sizes, 1e-3 * sizes.mean()) if kappa < 0 else sizes
    # 0 ** kappa is 0: what did not move has no share.
    return divided([float(size) ** kappa for size in held / held.max()])
