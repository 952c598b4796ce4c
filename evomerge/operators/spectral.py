"""Methods on the singular values and vectors of task vectors: TSV-M, RESM, Iso-C, Iso-CTS, OPCM.

Matrices inside the layers are decomposed; other tensors get the plain mean of the changes (their
sum in OPCM), and so do embedding and head, unless asked otherwise: they are large, and a row of
theirs is a token. Directions below 1e-6 of a matrix' largest singular value are noise everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from evomerge.operators.base import TensorContext, operator
from evomerge.operators.parameters import Lambda, Nothing, divided
from evomerge.operators.signs import total
from evomerge.value import Value

if TYPE_CHECKING:
    from torch import Tensor

    Triples = tuple[Tensor, Tensor, Tensor]

__all__ = ["iso_c", "iso_cts", "opcm", "resm", "tsvm"]

TSV = "Gargiulo et al., Task singular vectors, CVPR 2025, arXiv 2412.00081"
ISO = "Marczak et al., No task left behind, ICML 2025, arXiv 2502.04959"


class SpectralOptions(Lambda):
    """Options that the methods on singular values share."""

    embeddings: bool = False
    """Decompose the embedding and the head as well."""


class Scale(Value):
    """Parameters of one input of `tsvm`, `iso_c` and `iso_cts`."""

    weight: float = 1.0
    """Factor of the task vector before it is decomposed."""


class TsvmOptions(SpectralOptions):
    """Options of `tsvm`."""

    keep: float | None = Field(None, gt=0.0, le=1.0)
    """Share of its directions that each expert keeps; 1 / (number of experts) where it is left
    out."""


@operator(
    "tsvm",
    family="matrix",
    base="origin",
    shared=TsvmOptions,
    each=Scale,
    citation=TSV,
    search_ranges={"lambda": (0.3, 2.0), "weight": (0.3, 1.5)},
)
def tsvm(
    taus: Sequence[Tensor], options: TsvmOptions, each: Sequence[Scale], context: TensorContext
) -> Tensor:
    """Keep each expert's top singular directions, made orthogonal to the others'.

    With U, S, V the kept triples of all experts side by side: polar(U) diag(S) polar(V)^T
    (section 4, equations 5 to 7).
    """
    if not _decomposed(options, context):
        scaled = [tau * parameters.weight for tau, parameters in zip(taus, each, strict=True)]
        return total(scaled) * (options.lambda_ / len(taus))
    rank = _rank(context, options.keep or 1.0 / len(each))
    # A negative factor turns the directions on one side round. Rank and signs decide the
    # directions, the weights only how long they are, so a search decomposes once.
    signs = tuple(math.copysign(1.0, parameters.weight) for parameters in each)

    def directions() -> tuple[Tensor, ...]:
        triples = [context.svd(i, rank) for i in range(len(each))]
        turned = [(u * sign, s, vt) for sign, (u, s, vt) in zip(signs, triples, strict=True)]
        owners = [s.new_full(s.shape, i) for i, (_, s, _) in enumerate(triples)]
        return *_orthogonal(turned, context), *_joined([owners])

    u, s, vt, owners = context.memoise_on_disk(("tsvm", rank, signs), directions)
    weights = s.new_tensor([abs(parameters.weight) * options.lambda_ for parameters in each])
    return (u * (s * weights[owners.long()])) @ vt


class ResmOptions(SpectralOptions):
    """Options of `resm`."""

    z: float = Field(3.0, gt=0.0)
    """A change is an outlier from this many standard deviations above the mean magnitude."""
    kappa: float = Field(1.0, ge=0.0)
    """Exponent of the outlier mass in the experts' weights; 0 weighs them equally."""
    gamma: float = 1.0
    """Exponent of the matrix' density in its rank; 0 gives every matrix the same share."""
    floor: float = Field(0.01, ge=0.0, lt=1.0)
    """Share of the largest magnitude below which an element counts as empty."""


def _resm_density(
    taus: Sequence[Tensor], options: ResmOptions, each: Sequence[Nothing], context: TensorContext
) -> Mapping[str, float]:
    if not _decomposed(options, context):
        return {}
    return {"density": _density(_reweighted(taus, options), options.floor), "matrices": 1.0}


@operator(
    "resm",
    family="matrix",
    base="origin",
    shared=ResmOptions,
    each=Nothing,
    citation="inspired by Yang et al., 3H (RESM), 2025, arXiv 2502.06876",
    survey=_resm_density,
    search_ranges={
        "kappa": (0.0, 2.0),
        "gamma": (-1.0, 2.0),
        "z": (1.5, 4.0),
        "lambda": (0.3, 2.0),
    },
)
def resm(
    taus: Sequence[Tensor], options: ResmOptions, each: Sequence[Nothing], context: TensorContext
) -> Tensor:
    """TSV-M with experts weighted by their outliers and ranks by density (RESM-inspired).

    a_i = o_i^kappa / sum_j o_j^kappa with o_i the L1 mass of outliers, tau'_i = T a_i tau_i; rank
    k = (r / T) (d / mean d)^gamma with d the share of elements above `floor` of the largest. The
    formulas are evomerge's: the paper's could not be read.
    """
    if not _decomposed(options, context):
        return total(taus) * (options.lambda_ / len(taus))
    weighted = _reweighted(taus, options)
    surveyed = context.surveyed[0]
    mean = surveyed["density"] / surveyed["matrices"]
    relative = _density(weighted, options.floor) / mean if mean > 0 else 1.0
    share = relative**options.gamma / len(taus) if relative > 0 else 0.0
    rank = _rank(context, min(share, 1.0))

    def directions() -> Triples:
        return _orthogonal([_leading(context.decompose(tau), rank) for tau in weighted], context)

    u, s, vt = context.memoise(("resm", options.z, options.kappa, rank), directions)
    return (u * s) @ vt * options.lambda_


def _reweighted(taus: Sequence[Tensor], options: ResmOptions) -> list[Tensor]:
    masses = []
    for tau in taus:
        size = tau.abs()
        cut = size.mean() + options.z * size.std(correction=0)
        masses.append(float((size * (size > cut)).double().sum()))
    largest = max(masses)
    powers = [(mass / largest) ** options.kappa if mass > 0 else 0.0 for mass in masses]
    shares = divided(powers if options.kappa > 0 else [1.0] * len(taus))
    return [tau * (share * len(taus)) for tau, share in zip(taus, shares, strict=True)]


def _density(taus: Sequence[Tensor], floor: float) -> float:
    shares = [float((tau.abs() > floor * tau.abs().max()).double().mean()) for tau in taus]
    return sum(shares) / len(shares)


class IsoOptions(SpectralOptions):
    """Options of `iso_c`."""

    flatten: float = Field(1.0, ge=0.0, le=1.0)
    """1 makes all singular values equal, 0 leaves them as they are (task arithmetic)."""


@operator(
    "iso_c",
    family="matrix",
    base="origin",
    shared=IsoOptions,
    each=Scale,
    citation=ISO,
    search_ranges={"lambda": (0.3, 2.5), "flatten": (0.0, 1.0)},
)
def iso_c(
    taus: Sequence[Tensor], options: IsoOptions, each: Sequence[Scale], context: TensorContext
) -> Tensor:
    """Sum the changes, then make their singular values equal, so that no expert dominates.

    sum_i tau_i = U S V^T becomes mean(S) U V^T (Iso-C, equation 6). A `flatten` b below 1, which is
    evomerge's, takes S^(1 - b) at the same sum.
    """
    summed = total([tau * parameters.weight for tau, parameters in zip(taus, each, strict=True)])
    if not _decomposed(options, context):
        return summed * (options.lambda_ / len(taus))
    weights = tuple(parameters.weight for parameters in each)
    u, s, vt = context.memoise(("iso_c", weights), lambda: context.decompose(summed))
    if not len(s):
        return summed
    flat = s ** (1.0 - options.flatten)
    return (u * (flat * (s.sum() / flat.sum()))) @ vt * options.lambda_


class IsoCtsOptions(SpectralOptions):
    """Options of `iso_cts`."""

    common: float = Field(0.8, ge=0.0, le=1.0)
    """Share of the directions that all experts have in common; the rest are directions of single
    experts."""


@operator(
    "iso_cts",
    family="matrix",
    base="origin",
    shared=IsoCtsOptions,
    each=Scale,
    citation=ISO,
    search_ranges={"lambda": (0.3, 2.5), "common": (0.5, 1.0)},
)
def iso_cts(
    taus: Sequence[Tensor], options: IsoCtsOptions, each: Sequence[Scale], context: TensorContext
) -> Tensor:
    """Iso-C whose weakest common directions give way to directions of each expert's own.

    The top directions of the sum, and of each tau_i projected off them; all made orthogonal, with
    equal singular values (Iso-CTS, section 4.2).
    """
    scaled = [tau * parameters.weight for tau, parameters in zip(taus, each, strict=True)]
    summed = total(scaled)
    if not _decomposed(options, context):
        return summed * (options.lambda_ / len(taus))
    asked = ("iso_cts", options.common, *(parameters.weight for parameters in each))
    return (
        context.memoise(asked, lambda: _flattened(summed, scaled, options, context))
        * options.lambda_
    )


def _flattened(
    summed: Tensor, scaled: Sequence[Tensor], options: IsoCtsOptions, context: TensorContext
) -> Tensor:
    """Common directions and the experts' own, orthogonal, of equal singular values."""
    size = min(summed.shape)
    own = round((size - int(size * options.common)) / len(scaled))
    common = _leading(context.decompose(summed), size - own * len(scaled))
    triples = []
    for tau in scaled if own else []:
        rest = tau - common[0] @ (common[0].mT @ tau)
        # What the projection leaves of a change that lay inside is rounding noise.
        if float(rest.norm()) > 1e-6 * float(tau.norm()):
            triples.append(_leading(context.decompose(rest), own))
    triples.append(common)
    values = [s for _, s, _ in triples]
    count = sum(len(s) for s in values)
    if not count:
        return summed
    mean = sum(float(s.sum()) for s in values) / count
    u, s, vt = _orthogonal(triples, context)
    return (u * s.new_full(s.shape, mean)) @ vt


class OpcmOptions(SpectralOptions):
    """Options of `opcm`."""

    alpha: float = Field(0.5, ge=0.0, le=1.0)
    """The leading directions of the merged change that hold this share of its singular values
    are removed from the next expert's change."""


class Order(Scale):
    """Parameters of one input of `opcm`."""

    order: float = 0.0
    """Experts are merged from the smallest `order` to the largest; equal ones by name."""


def _opcm_norms(
    taus: Sequence[Tensor], options: OpcmOptions, each: Sequence[Order], context: TensorContext
) -> Mapping[str, float]:
    """Round 0: |tau_i|^2 of all; every round t: |Raw_{t + 2}|^2."""
    done = len(context.surveyed)
    ordered = _in_order(taus, each, context)
    sums = {"raw": float(_opcm_raw(ordered, options, context, done + 2).double().square().sum())}
    if done == 0:
        squares = [float(tau.double().square().sum()) for tau in ordered]
        sums |= {f"tau{i}": square for i, square in enumerate(squares)}
    return sums


@operator(
    "opcm",
    family="matrix",
    base="origin",
    shared=OpcmOptions,
    each=Order,
    min_inputs=2,
    citation="Tang et al., Merging models on the fly (OPCM), 2025, arXiv 2501.09522",
    survey=_opcm_norms,
    rounds=lambda operands: operands - 1,
    search_ranges={"alpha": (0.2, 0.95), "weight": (0.5, 1.5)},
)
def opcm(
    taus: Sequence[Tensor], options: OpcmOptions, each: Sequence[Order], context: TensorContext
) -> Tensor:
    """Merge experts one after another, each without what lies in the directions merged already.

    Raw_t = lambda_{t-1} Delta_{t-1} + P(tau_t) and Delta_t = Raw_t / lambda_t, with lambda_t such
    that |Delta_t|, over the whole model, is the mean of |tau_1| to |tau_t| (equations 4 to 8). P
    removes the leading block, of the directions that hold a share alpha of Delta's singular values,
    and the diagonal. At alpha = 1 the block is everything (in the released code it is empty).
    """
    ordered = _in_order(taus, each, context)
    raw = _opcm_raw(ordered, options, context, len(ordered))
    return raw * (options.lambda_ / _opcm_lambda(context, len(ordered)))


def _in_order(
    taus: Sequence[Tensor], each: Sequence[Order], context: TensorContext
) -> list[Tensor]:
    ranked = sorted(range(len(taus)), key=lambda i: (each[i].order, context.names[i]))
    return [taus[i] * each[i].weight for i in ranked]


def _opcm_raw(
    taus: Sequence[Tensor], options: OpcmOptions, context: TensorContext, upto: int
) -> Tensor:
    """Raw_t for t = `upto`, counted from 1."""
    raw = taus[0]
    for t in range(2, upto + 1):
        before = _opcm_lambda(context, t - 1)
        added = taus[t - 1]
        if _decomposed(options, context):
            added = _projected(added, context.decompose(raw / before), options.alpha)
        raw = raw + added
    return raw


def _opcm_lambda(context: TensorContext, t: int) -> float:
    """lambda_t of the whole model; lambda_1 is 1."""
    if t == 1:
        return 1.0
    norms = [math.sqrt(context.surveyed[0][f"tau{i}"]) for i in range(t)]
    mean = sum(norms) / t
    return math.sqrt(context.surveyed[t - 2]["raw"]) / mean if mean > 0 else 1.0


def _projected(tau: Tensor, merged: Triples, alpha: float) -> Tensor:
    """`tau` without the leading block and the diagonal in the basis of the merged change."""
    u, s, vt = merged
    if not len(s):
        return tau
    block = int((s.cumsum(0) <= alpha * s.sum() * (1 + 1e-6)).sum())
    inside = u.mT @ tau @ vt.mT
    removed = inside.diagonal().diag()
    removed[:block, :block] = inside[:block, :block]
    return tau - u @ removed @ vt


def _decomposed(options: SpectralOptions, context: TensorContext) -> bool:
    outside = context.place.component in ("embedding", "head")
    return len(context.shape) == 2 and (options.embeddings or not outside)


def _rank(context: TensorContext, share: float) -> int:
    return max(1, int(min(context.shape) * share + 1e-6))


def _leading(triples: Triples, rank: int) -> Triples:
    u, s, vt = triples
    return u[:, :rank], s[:rank], vt[:rank]


def _orthogonal(triples: Sequence[Triples], context: TensorContext) -> Triples:
    """(polar(U), S, polar(V)^T) of all triples side by side; empty ones where there are none."""
    u, s, vt = _joined(list(zip(*triples, strict=True)))
    return (_polar(u, context), s, _polar(vt, context)) if len(s) else (u, s, vt)


def _joined(parts: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """Columns beside columns, values behind values, rows below rows."""
    from torch import cat  # here, since this module is loaded where there is no need for torch

    return [cat(list(blocks), dim=-1 if i == 0 else 0) for i, blocks in enumerate(parts)]


def _polar(matrix: Tensor, context: TensorContext) -> Tensor:
    """The nearest matrix with orthonormal rows or columns."""
    u, _, vt = context.decompose(matrix)
    return u @ vt
