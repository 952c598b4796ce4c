from __future__ import annotations

import copy

import cmaes
import numpy as np
import pytest

from evomerge.optimizers.margin import Margin

LEAST = 0.01


def shares(margin: Margin, mean: float, std: float, size: int) -> list[float]:
    """Of each interval, by sampling."""
    samples = np.random.default_rng(0).normal(mean, std, 200_000)
    x = np.array([margin.stretched(np.array([s]), np.array([mean]))[0] for s in samples[:1]])
    assert x.shape == (1,)
    x = margin.stretched(samples, np.full(len(samples), mean))
    return list(np.bincount(np.clip(x * size, 0, size - 1).astype(int), minlength=size) / len(x))


@pytest.mark.parametrize("mean", [-3.0, 0.1, 0.9, 40.0])
def test_the_other_choice_keeps_a_least_probability(mean: float) -> None:
    margin, std = Margin([2], LEAST), np.array([0.1])
    (moved,) = margin.corrected(np.array([mean]), std)
    assert (moved > 0.5) == (mean > 0.5), "the mode stays"
    assert min(shares(margin, moved, 0.1, 2)) == pytest.approx(LEAST, rel=0.1)


def test_what_has_its_share_is_left() -> None:
    margin = Margin([2, 2, 3], LEAST)
    mean = np.array([0.45, 0.6, 0.5])
    assert np.array_equal(margin.corrected(mean, np.full(3, 0.2)), mean)
    assert np.array_equal(margin.stretched(mean + 0.3, mean), mean + 0.3)


@pytest.mark.parametrize(("mean", "std"), [(0.5, 0.01), (0.36, 0.02), (0.64, 0.02), (0.5, 1e-5)])
def test_both_sides_of_an_inner_choice_keep_half(mean: float, std: float) -> None:
    margin = Margin([3], LEAST)
    (moved,) = margin.corrected(np.array([mean]), np.array([std]))
    below, between, above = shares(margin, moved, std, 3)
    assert between > 0.5
    assert min(below, above) == pytest.approx(LEAST / 2, rel=0.15)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_as_the_authors_package(size: int) -> None:
    """Correct what its strategy holds, a generation at a time, and find what it has made of it."""
    genes, popsize = 4, 8
    bounds = np.array([[0, size - 1]] * genes, dtype=float)
    theirs = cmaes.CMAwM(
        mean=np.full(genes, (size - 1) * 0.6),
        sigma=size / 6,
        bounds=bounds,
        steps=np.ones(genes),
        seed=3,
        population_size=popsize,
    )
    ours = Margin([size] * genes, 1 / (genes * popsize))
    rng = np.random.default_rng(0)
    for _ in range(40):
        solutions = [theirs.ask()[1] for _ in range(popsize)]
        losses = [float(np.abs(np.round(x) - 1).sum() + rng.normal()) for x in solutions]
        told = list(zip(solutions, losses, strict=True))
        plain = copy.deepcopy(theirs._cma)  # their update without the margin
        plain.tell(list(told))
        mean, std = plain._mean, plain._sigma * np.sqrt(np.diag(plain._C))
        theirs.tell(told)
        # Their choices lie around whole numbers, ours in equal intervals of [0, 1].
        found = ours.corrected((mean + 0.5) / size, std / size)
        assert np.allclose(found * size - 0.5, theirs.mean, atol=1e-6)
        x = mean + 1.7
        stretched = ours.stretched((x + 0.5) / size, found) * size - 0.5
        assert np.allclose(stretched, (x - theirs.mean) * theirs._A + theirs.mean, atol=1e-5)
