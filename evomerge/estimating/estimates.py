"""What a model would score on all examples, estimated from some of them.

Each example has a mass, which says how much it counts in the score: 1/N in a plain mean of N. With
S the examples that were scored and U the others:

    anchors    Σ_S w_i y_i                               w: weights of the anchors, Σ w = Σ m
    p-IRT      Σ_S m_i y_i + Σ_U m_i p_i(θ̂)
    mp-IRT     Σ_S m · (anchors) + Σ_U m_i p_i(θ of the mixture)
    gp-IRT     c anchors + (1 − c) p-IRT                 gmp-IRT the same with mp-IRT

Maia Polo et al., tinyBenchmarks, arXiv 2402.14992, section 4 (p-IRT, gp-IRT); Mencattini, Minut et
al., MERGE³, arXiv 2502.10436, section 4 (mp-IRT, gmp-IRT).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evomerge.estimating.items import Ability, Array, Items

__all__ = [
    "anchor_error",
    "anchor_estimate",
    "anchor_weights",
    "combined",
    "irt_error",
    "p_irt",
    "share_of_anchors",
]


def anchor_weights(masses: Array, strata: Array, places: Sequence[int]) -> Array:
    """The weight of each scored example (len(places),): the mass of its stratum, shared by those
    that were scored there. Where nothing of a stratum was scored, its mass goes to all in
    proportion.

    Args:
        masses: (N,), all of one sign in a stratum.
        strata: (N,) the number of each example's stratum, such as its cluster.
    """
    at = np.asarray(places, dtype=int)
    totals = np.bincount(strata, weights=masses)
    scored = np.bincount(strata[at], minlength=len(totals))
    weights: Array = totals[strata[at]] / scored[strata[at]]
    covered, all_of_it = np.abs(weights).sum(), np.abs(masses).sum()
    return weights * (all_of_it / covered) if covered else weights


def anchor_estimate(weights: Array, scores: Array) -> float:
    """Σ_S w_i y_i."""
    return float(weights @ scores)


def p_irt(
    items: Items,
    ability: Array,
    masses: Array,
    places: Sequence[int],
    scores: Array,
    weights: Array | None = None,
) -> float:
    """What was scored as it is, the rest as the ability makes it likely.

    `weights`: of the anchors, for the scored part of mp-IRT; None: their masses.
    """
    at = np.asarray(places, dtype=int)
    unseen = _unseen(len(masses), at)
    if weights is None:
        seen = float(masses[at] @ scores)
    else:
        seen = float(np.abs(masses[at]).sum() / np.abs(weights).sum() * (weights @ scores))
    return seen + float(masses[unseen] @ items[unseen].probabilities(ability))


def share_of_anchors(error: float, variance: float, scored: int) -> float:
    """c of gp-IRT: b² / (b² + v / (4 n)).

    Args:
        error: b, the mean absolute error of p-IRT on models that it was not calibrated with.
        variance: v, of the scores of one model over the examples, the mean over models.
        scored: n.
    """
    noise = variance / (4 * scored)
    return error**2 / (error**2 + noise) if error or noise else 0.0


def combined(share: float, anchors: float, by_items: float) -> float:
    """`share` of the anchors' estimate, the rest of that by items (gp-IRT, gmp-IRT)."""
    return share * anchors + (1 - share) * by_items


def anchor_error(weights: Array, scores: Array, examples: int) -> float:
    """The standard error of the anchors' estimate for the score on all `examples`: that of a
    weighted mean of draws without replacement, their variance never quite 0 (one right and one
    wrong are added)."""
    scored = len(scores)
    mean = (float(np.sum(scores)) + 1.0) / (scored + 2.0)
    spread = max(mean * (1 - mean), float(np.var(scores)))
    left = max(0.0, 1 - scored / examples)
    return float(np.sqrt(np.sum(weights**2) * spread * left))


def irt_error(items: Items, ability: Ability, masses: Array, places: Sequence[int]) -> float:
    """The standard error of p-IRT for the score on all examples, where the model is right: how
    unsure the ability is, and that unseen answers fall as they do."""
    unseen = _unseen(len(masses), np.asarray(places, dtype=int))
    rest, mass = items[unseen], masses[unseen]
    right = rest.probabilities(ability.at)
    slope = (mass * right * (1 - right)) @ rest.discrimination
    chance = float(np.sum(mass**2 * right * (1 - right)))
    return float(np.sqrt(slope @ ability.covariance @ slope + chance))


def _unseen(examples: int, places: Array) -> Array:
    rest = np.ones(examples, dtype=bool)
    rest[places] = False
    return np.flatnonzero(rest)
