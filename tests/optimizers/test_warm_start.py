from __future__ import annotations

import numpy as np
import pytest

from evomerge.conformance.optimizers import FLOATS, MIXED, ONE
from evomerge.errors import ConfigError
from evomerge.optimizers.base import Result
from evomerge.optimizers.problem import Earlier
from evomerge.optimizers.registry import configure, make
from evomerge.optimizers.warm_start import promising
from evomerge.recipe.genome import FloatGene


def earlier(count: int = 200, seed: int = 1) -> list[Earlier]:
    """A search that found its best near 0.8, with the first two genes moving together."""
    rng = np.random.default_rng(seed)
    points = rng.random((count, 6))
    wanted = points - 0.8
    losses = (wanted[:, 2:] ** 2).sum(1) + 9 * (wanted[:, 0] - wanted[:, 1]) ** 2
    return [
        Earlier(tuple(x.tolist()), float(-loss)) for x, loss in zip(points, losses, strict=True)
    ]


def test_the_best_tenth_gives_mean_and_covariance() -> None:
    mean, sigma, covariance = promising(FLOATS, earlier())
    best = np.array([e.genome for e in sorted(earlier(), key=lambda e: -e.fitness)[:20]], float)
    assert np.allclose(mean, best.mean(0))
    assert np.allclose(sigma**2 * covariance, np.cov(best.T, bias=True) + 0.01 * np.eye(6))


def test_of_few_the_best_one_is_promising() -> None:
    few = earlier()[:7]
    mean, sigma, covariance = promising(FLOATS, few)
    assert tuple(mean) == max(few, key=lambda e: e.fitness).genome
    assert sigma == pytest.approx(0.1)
    assert np.allclose(covariance, np.eye(6))


def test_so_many_genes_that_their_determinant_is_no_number() -> None:
    """Of 0.01 and less for each of 300 genes, it is below the least float64."""
    rng = np.random.default_rng(2)
    points = 0.3 + 0.1 * rng.random((60, 300))
    known = [Earlier(tuple(x.tolist()), -float(x[0])) for x in points]
    genes = tuple(FloatGene(name=f"x{i}", low=0, high=1) for i in range(300))
    mean, sigma, covariance = promising(genes, known)
    best = points[np.argsort(points[:, 0])[:6]]
    assert np.allclose(mean, best.mean(0))
    assert np.allclose(sigma**2 * covariance, np.cov(best.T, bias=True) + 0.01 * np.eye(300))
    assert np.linalg.slogdet(covariance).logabsdet == pytest.approx(0, abs=1e-6)
    asked = make(configure("cma_es", origin="test"), genes, seed=1, earlier=known).ask(5)
    drawn = np.array([q.genome for q in asked], dtype=float)
    assert np.abs(drawn - mean).mean() == pytest.approx(0.1 * (2 / np.pi) ** 0.5, rel=0.2)


@pytest.mark.parametrize("lr_adapt", [False, True])
def test_the_first_generation_is_drawn_from_there(lr_adapt: bool) -> None:
    config = configure({"kind": "cma_es", "popsize": 2000, "lr_adapt": lr_adapt}, origin="test")
    points = np.array(
        [q.genome for q in make(config, FLOATS, seed=1, earlier=earlier()).ask(2000)], dtype=float
    )
    mean, _, _ = promising(FLOATS, earlier())
    assert np.allclose(points.mean(0), mean, atol=0.1)
    assert np.corrcoef(points.T)[0, 1] > 0.6


@pytest.mark.parametrize("lr_adapt", [False, True])
def test_a_single_gene_begins_there_too(lr_adapt: bool) -> None:
    config = configure({"kind": "cma_es", "popsize": 400, "lr_adapt": lr_adapt}, origin="test")
    known = [Earlier((x / 20,), -abs(x / 20 - 0.8)) for x in range(20)]
    asked = make(config, ONE, seed=1, earlier=known).ask(400)
    points = np.array([q.genome for q in asked], dtype=float)
    mean, sigma, _ = promising(ONE, known)
    assert points.mean() == pytest.approx(mean[0], abs=0.02)
    assert points.std() == pytest.approx(sigma, rel=0.15)


def test_a_run_after_the_first_begins_anywhere() -> None:
    config = configure("cma_es", origin="test")
    known = [Earlier((x / 40, x / 40), -abs(x / 40 - 0.8)) for x in range(40)]
    optimizer = make(config, FLOATS[:2], seed=1, earlier=known)
    middles, widths = [], []
    for _ in range(300):
        asked = optimizer.ask(100)
        points = np.array([q.genome for q in asked], dtype=float)
        middles.append(points.mean(axis=0))
        widths.append(float(np.ptp(points, axis=0).max()))
        losses = ((points - 0.8) ** 2).sum(axis=1)
        optimizer.tell([Result(q.id, (-loss,)) for q, loss in zip(asked, losses, strict=True)])
    assert np.linalg.norm(middles[0] - 0.8) < 0.2
    begun = [middles[i] for i in range(1, 300) if widths[i - 1] < 1e-4 and widths[i] > 0.1]
    assert max(np.linalg.norm(middle - 0.8) for middle in begun) > 0.3


def test_an_optimizer_that_learns_nothing_from_it_says_so() -> None:
    with pytest.raises(ConfigError, match=r"warm_start\.study: random learns nothing from another"):
        make(configure("random", origin="test"), FLOATS, seed=1, earlier=earlier())
    with pytest.raises(ConfigError, match="leave covariance: separable out"):
        make(
            configure({"kind": "cma_es", "covariance": "separable"}, origin="test"),
            FLOATS,
            seed=1,
            earlier=earlier(),
        )


def test_choices_begin_where_the_best_had_them() -> None:
    known = [Earlier(("ties", 0.2, 0.2, 0.2, "count"), float(i)) for i in range(30)]
    asked = make(configure("cma_es", origin="test"), MIXED, seed=1, earlier=known).ask(8)
    assert [q.genome[0] for q in asked].count("ties") > 4
