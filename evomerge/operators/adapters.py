"""Methods on the factors of LoRA adapters: LoraHub, averages within one run, LoRA-LEGO.

They combine what no dense view of an adapter shows. To add adapters as the changes that they are,
use any other method (`task_arithmetic`: the static composition of PSEC, arXiv 2502.05932).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from evomerge.errors import RecipeError
from evomerge.operators.averaging import Metric, MwaOptions, mwa
from evomerge.operators.base import TensorContext, operator
from evomerge.operators.kmeans import kmeans
from evomerge.operators.parameters import Nothing, Weight, taken
from evomerge.recipe.signature import Taken
from evomerge.value import Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from evomerge.operators.low_rank import LowRank

__all__ = ["lora_lego", "lorahub", "mwa_factors"]

SPARSE = 0.5
"""An A with a larger share of exact zeros counts as a frozen sparse projection: FlyLoRA's A has
three quarters, a trained A hardly any (or only zeros, where the weight was not trained)."""
CANCELLED = 1e-6
"""A mean of ranks below this share of its members' mean size is rounding noise, and dropped."""


def _lorahub_sole(options: Nothing, each: Sequence[Weight]) -> Taken:
    return taken([own.weight**2 for own in each], over_base=True)


@operator(
    "lorahub",
    family="adapter",
    base="origin",
    shared=Nothing,
    each=Weight,
    citation="Huang et al., LoraHub, COLM 2024, arXiv 2307.13269",
    search_ranges={"weight": (-1.5, 1.5)},
    combine="factor",
    sole=_lorahub_sole,
)
def lorahub(
    factors: Sequence[LowRank], options: Nothing, each: Sequence[Weight], context: TensorContext
) -> LowRank:
    """Sum the factors of the adapters, each A and each B by the same weight (LoraHub).

    dW = s (sum_i w_i B_i)(sum_j w_j A_j), which has the cross terms w_i w_j B_i A_j and is
    quadratic in the weights: a lone adapter with the weight -1 is the adapter itself. For
    sum_i w_i s_i B_i A_i use `task_arithmetic`. An adapter that leaves the tensor alone adds
    nothing.

    Raises:
        RecipeError: ranks or scales differ, or frozen sparse projections (FlyLoRA) do.
    """
    return _summed(factors, [parameters.weight for parameters in each], context)


@operator(
    "mwa_factors",
    family="adapter",
    base="origin",
    shared=MwaOptions,
    each=Metric,
    citation="in the spirit of Yu & Choi, Metrics-weighted averaging, 2025, arXiv 2504.18580",
    search_ranges={"power": (0.0, 16.0)},
    combine="factor",
)
def mwa_factors(
    factors: Sequence[LowRank], options: MwaOptions, each: Sequence[Metric], context: TensorContext
) -> LowRank:
    """Mean of the factors of one run's checkpoints, weighted by a metric of each.

    A = sum_i a_i A_i and B = sum_i a_i B_i with the weights a_i of `mwa`. That is the mean of the
    changes only as far as the factors agree, as those of one training run do, which share their
    first A; of adapters from different runs take the mean of the changes (`task_arithmetic`).

    Raises:
        RecipeError: ranks or scales differ, or frozen sparse projections (FlyLoRA) do: the adapters
            are not of one run.
    """
    return _summed(factors, mwa(options, each, context), context)


def _summed(
    factors: Sequence[LowRank], weights: Sequence[float], context: TensorContext
) -> LowRank:
    """Both factors summed by the weights; adapters of rank 0 are left out."""
    given = [(f, w, n) for f, w, n in zip(factors, weights, context.names, strict=True) if f.rank]
    (first, _, name), *others = given
    for change, _, other in others:
        if (change.rank, change.scale) != (first.rank, first.scale):
            raise RecipeError(
                f"{context.place.name}: {name!r} has rank {first.rank} and scale {first.scale:g},"
                f" {other!r} rank {change.rank} and scale {change.scale:g}; factors can only be"
                " summed where both are the same, changes (task_arithmetic) always"
            )
    _refuse_different_projections([(f.a, n) for f, _, n in given], context)
    a = sum((change.a * weight for change, weight, _ in given), first.a.new_zeros(()))
    b = sum((change.b * weight for change, weight, _ in given), first.b.new_zeros(()))
    return type(first)(a, b, first.scale)


def _refuse_different_projections(
    projections: Sequence[tuple[Tensor, str]], context: TensorContext
) -> None:
    """FlyLoRA (arXiv 2510.08396) freezes A as a sparse random projection, and no key of its
    adapters' configuration says so: it is known by the zeros in A. Where each adapter has drawn its
    own, the product of the averaged factors is not near the average of the products (a relative
    error of 0.7); where all share one, averaging the factors is exact.
    """
    import torch

    for a, name in projections:
        zeros = float((a == 0).float().mean())
        if SPARSE < zeros < 1.0 and not all(torch.equal(a, other) for other, _ in projections):
            raise RecipeError(
                f"{context.place.name}: {zeros:.0%} of the A of {name!r} are exact zeros, so it is"
                " a frozen sparse projection (FlyLoRA), and the other adapters' A differ from it:"
                " their factors share no space and cannot be summed; sum the changes"
                " (task_arithmetic)"
            )


class LoraLegoOptions(Value):
    """Options of `lora_lego`."""

    k: float | None = Field(None, ge=1.0)
    """Rank of the result, rounded, at most the number of pooled ranks; the adapters' mean rank
    where it is left out."""
    feature: Literal["unit", "raw"] = "unit"
    """What is clustered: each rank's row of A and column of B at length 1, or as they are."""
    sign_fix: bool = True
    """Turn each rank so that the largest entry of its row of A is positive. (a, b) and (-a, -b)
    are the same change, and would cancel each other in a mean."""
    reweight_parameters: bool = True
    """Give each mean of ranks the size (largest magnitude) that its members have on average; the
    change grows by the square of that."""
    reweight_output: bool = True
    """Multiply the change by sqrt(r / k), with r the adapters' mean rank."""


class LegoWeight(Value):
    """Parameters of one input of `lora_lego`."""

    weight: float = 1.0
    """Factor of the adapter's change before its ranks are pooled."""


@operator(
    "lora_lego",
    family="adapter",
    base="origin",
    shared=LoraLegoOptions,
    each=LegoWeight,
    citation="Zhao et al., Merging LoRAs like playing LEGO, ICLR 2025, arXiv 2409.16167",
    search_ranges={"weight": (0.3, 1.5), "k": (2.0, 32.0, "log")},
    combine="cluster",
)
def lora_lego(
    factors: Sequence[LowRank],
    options: LoraLegoOptions,
    each: Sequence[LegoWeight],
    context: TensorContext,
) -> LowRank:
    """Cluster the ranks of all adapters; the clusters' means are the ranks of the result.

    A rank is a row a of A with its column b of B, scale and weight in b. The k-means is seeded by
    recipe and tensor, and sees the ranks in an order of their own: neither the adapters' order nor
    that of their ranks matters. Ranks without effect are not pooled; with k as many as are pooled
    and no reweighting this is the plain sum of the changes. The paper's text could not be read: the
    formulas are those of its abstract and of two reimplementations that agree on them.
    """
    import torch

    first = factors[0]
    width = first.a.shape[1]
    ranks = [change.rank for change in factors if change.rank]
    pool = torch.cat(
        [
            torch.cat([change.a, change.b.T * (change.scale * own.weight)], dim=1)
            for change, own in zip(factors, each, strict=True)
        ]
    )
    pool = pool[(pool[:, :width] != 0).any(1) & (pool[:, width:] != 0).any(1)]
    if not len(pool):
        return type(first).nothing(first.b.shape[0], width)
    if options.sign_fix:
        rows = pool[:, :width]
        largest = rows.gather(1, rows.abs().argmax(1, keepdim=True))
        pool = pool * largest.sign()
    pool = _in_order(pool)
    mean_rank = sum(ranks) / len(ranks)
    # Half upwards: Python's `round` would take 2.5 to 2 and 3.5 to 4.
    k = math.floor((options.k if options.k is not None else mean_rank) + 0.5)
    labels = torch.from_numpy(kmeans(_gram(pool, width, options.feature), k, _seed(context)))
    share = torch.nn.functional.one_hot(labels).to(pool.dtype).T
    share = share / share.sum(1, keepdim=True)
    means = share @ pool
    if options.reweight_parameters:
        sizes = means.abs().amax(1, keepdim=True)
        wanted = share @ pool.abs().amax(1, keepdim=True)
        means = torch.where(sizes > CANCELLED * wanted, means * (wanted / sizes), 0.0)
    factor = math.sqrt(mean_rank / len(means)) if options.reweight_output else 1.0
    return type(first)(means[:, :width], (means[:, width:] * factor).T, 1.0)


def _in_order(pool: Tensor) -> Tensor:
    """The ranks sorted by their bytes, so that the order of the operands does not matter."""
    keys = [row.tobytes() for row in pool.cpu().numpy()]
    return pool[sorted(range(len(keys)), key=keys.__getitem__)]


def _gram(pool: Tensor, width: int, feature: Literal["unit", "raw"]) -> NDArray[np.float64]:
    """(ranks, ranks) inner products of the features that are clustered."""
    a, b = pool[:, :width].double(), pool[:, width:].double()
    if feature == "unit":
        a, b = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
    gram: NDArray[np.float64] = (a @ a.T + b @ b.T).cpu().numpy()
    return gram


def _seed(context: TensorContext) -> int:
    """The k-means seed, one for each (recipe seed, tensor name)."""
    key = hashlib.sha256(f"{context.seed}\0{context.place.name}".encode()).digest()
    return int.from_bytes(key[:8], "little")
