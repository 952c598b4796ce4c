"""Problems whose truth is known, in the form of recorded ones: a probability for each example."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evomerge.estimating.items import logistic
from evomerge.recipe.genome import ChoiceGene, FloatGene, Genome, Scalar

__all__ = ["SYNTHETIC", "Synthetic"]

Array = NDArray[np.float64]
SIZES = {"search": 96, "validation": 96, "holdout": 300}


@dataclass(frozen=True)
class Synthetic:
    """Genes and, of each split, how likely a genome solves each example."""

    genes: tuple[Scalar, ...]
    landmarks: Mapping[str, Genome]
    tasks: Mapping[str, tuple[int, ...]]
    chances: Callable[[Genome], dict[str, Array]]
    about: str
    importance: Mapping[str, float] = field(default_factory=dict)
    """Gene -> how much it is expected to matter, from 0.05 to 1: the truth, roughly measured; empty
    where nobody measures it."""


def sparse() -> Synthetic:
    """36 numbers of which five matter: an example wants one or two of them near a value that all
    examples nearly share."""
    rng = np.random.default_rng(36)
    active = rng.choice(36, 5, replace=False)
    best = rng.uniform(0.2, 0.8, 5)

    def example(rng: np.random.Generator) -> tuple[Array, Array, float]:
        weights = np.zeros(5)
        weights[rng.choice(5, 2, replace=False)] = rng.uniform(8, 20, 2)
        return weights, best + 0.08 * rng.standard_normal(5), rng.normal(1.0, 1.0)

    drawn = _drawn(rng, example)

    def chances(genome: Genome) -> dict[str, Array]:
        x = np.array(genome, dtype=float)[active]
        return {
            split: logistic(easy - (weights * (x - wanted) ** 2).sum(axis=1))
            for split, (weights, wanted, easy) in drawn.items()
        }

    genes = tuple(FloatGene(name=f"x{i}", low=0.0, high=1.0) for i in range(36))
    landmarks: dict[str, Genome] = {f"all at {at}": (at,) * 36 for at in (0.5, 0.1, 0.9)}
    # As a measurement would have it: the truth, off by a factor of about two.
    guesses = np.random.default_rng(37).lognormal(sigma=0.7, size=36)
    truth = np.where(np.isin(np.arange(36), active), 0.6, 0.15)
    shares = np.clip(truth * guesses, 0.05, 1.0)
    importance = {gene.name: float(share) for gene, share in zip(genes, shares, strict=True)}
    about = "5 of 36 numbers matter"
    return Synthetic(genes, landmarks, _one_task(), chances, about, importance)


def mixed() -> Synthetic:
    """Four switches and eight numbers; a number matters only where its switch is on, and one switch
    does harm unless another is on, too."""
    rng = np.random.default_rng(4)
    best = rng.uniform(0.15, 0.85, 8)

    def example(rng: np.random.Generator) -> tuple[Array, Array, float]:
        return rng.uniform(0, 6, 8), best + 0.1 * rng.standard_normal(8), rng.normal(-1.0, 1.0)

    drawn = _drawn(rng, example)

    def chances(genome: Genome) -> dict[str, Array]:
        on = np.array([value == "on" for value in genome[:4]], dtype=float)
        x = np.array(genome[4:], dtype=float)
        lives = np.repeat(on, 2)
        gain = 1.2 * on[0] + 1.2 * on[1] + (2.0 if on[2] and on[3] else -1.0 * on[2])
        return {
            split: logistic(easy + gain - (weights * lives * (x - wanted) ** 2).sum(axis=1))
            for split, (weights, wanted, easy) in drawn.items()
        }

    switches = tuple(ChoiceGene(name=f"on{i}", choices=("off", "on")) for i in range(4))
    numbers = tuple(FloatGene(name=f"x{i}", low=0.0, high=1.0) for i in range(8))
    landmarks: dict[str, Genome] = {
        "all off": (*["off"] * 4, *[0.5] * 8),
        "first on": ("on", *["off"] * 3, *[0.5] * 8),
        "second on": ("off", "on", "off", "off", *[0.5] * 8),
    }
    genes: tuple[Scalar, ...] = (*switches, *numbers)
    return Synthetic(genes, landmarks, _one_task(), chances, "4 switches, 8 numbers")


def plateau(instance: int = 9) -> Synthetic:
    """Nine weights, three of each of three parents, most of whose combinations solve nothing.

    An example is solved with two skills together: one rises with the first parent's weights, one
    with the second's, and an example's shares of the three blocks are its own. What all weights
    together move too far solves nothing; the third parent only adds to that.
    """
    rng = np.random.default_rng(instance)
    blocks = rng.dirichlet((2.0, 2.0, 2.0), 2)
    room = rng.uniform(1.3, 1.5)

    def example(rng: np.random.Generator) -> tuple[Array, Array, float]:
        shares = np.concatenate([rng.dirichlet(10 * block) for block in blocks])
        return shares, rng.normal(0.4, 0.1, 2), room * rng.normal(1.0, 0.05)

    drawn = _drawn(rng, example)
    reach = np.concatenate([*(1.0 + 0.5 * blocks), np.ones(3)])

    def chances(genome: Genome) -> dict[str, Array]:
        x = np.array(genome, dtype=float)
        moved = float(np.sqrt((reach * x**2).sum()))
        values = {}
        for split, (shares, needed, room) in drawn.items():
            first = 14 * (shares[:, :3] @ x[:3] - needed[:, 0])
            second = 14 * (shares[:, 3:] @ x[3:6] - needed[:, 1])
            broken = 10 * (moved - room)
            values[split] = logistic(-np.logaddexp(np.logaddexp(-first, -second), broken))
        return values

    genes = tuple(FloatGene(name=f"p{i // 3}x{i % 3}", low=0.0, high=1.0) for i in range(9))
    landmarks: dict[str, Genome] = {
        "first": (*[1.0] * 3, *[0.0] * 6),
        "second": (*[0.0] * 3, *[1.0] * 3, *[0.0] * 3),
        "uniform": (1 / 3,) * 9,
    }
    about = "9 weights, most combinations of which solve nothing"
    return Synthetic(genes, landmarks, _one_task(), chances, about)


SYNTHETIC: Mapping[str, Callable[[], Synthetic]] = {
    "sparse": sparse,
    "mixed": mixed,
    "plateau": plateau,
}


def _drawn(
    rng: np.random.Generator, example: Callable[[np.random.Generator], tuple[Array, Array, float]]
) -> dict[str, tuple[Array, Array, Array]]:
    drawn = {}
    for split, size in SIZES.items():
        weights, wanted, easy = zip(*(example(rng) for _ in range(size)), strict=True)
        drawn[split] = np.array(weights), np.array(wanted), np.array(easy)
    return drawn


def _one_task() -> dict[str, tuple[int, ...]]:
    return {split: (size,) for split, size in SIZES.items()}
